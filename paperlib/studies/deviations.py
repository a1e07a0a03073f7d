"""What each profile does otherwise than the paper says, with the sentence it departs from.

Notebook 05 shows the table. It is made from the configurations that the profiles train with, so it
changes with them; every quotation is compared with the source by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from ..networks import augment
from ..profiles import PROFILES
from ..training.config import Config

SAME, OTHER, OPEN = "as printed", "deviates", "not given"
RATE, PATIENCE, SIZE, FACTOR = 1e-4, 3, 224, 0.1  # as printed, the size by VGGNet's definition

Answer = tuple[str, str]  # what is done, and `SAME`, `OTHER` or `OPEN`


@dataclass(frozen=True)
class Aspect:
    """One thing that the paper says, or leaves open, about training.

    section, quote, english   where it stands, in the paper's words (Chinese) and in ours
    here     configuration -> what is done, and whether that is as printed
    """

    name: str
    section: str
    quote: str
    english: str
    here: Callable[[Config], Answer]


def _always(text: str, answer: str) -> Callable[[Config], Answer]:
    return lambda config: (text, answer)


def _transforms(config: Config) -> Answer:
    return augment.AUGMENTATIONS[config.augment], SAME if config.augment == "figure-3" else OTHER


def _size(config: Config) -> Answer:
    how = "read as shrinking, to VGGNet's own size" if config.size == SIZE else "shrunk"
    return f"{config.size} px, {how}", SAME if config.size == SIZE else OTHER


def _mean(config: Config) -> Answer:
    if config.weights:
        return "ImageNet's mean of each channel removed", SAME
    return "the same, then scaled to unit variance: needed from scratch", OTHER


def _network(config: Config) -> Answer:
    start = f"{config.weights} weights (a reading)" if config.weights else "from scratch"
    same = config.network == "vgg16" and config.width == 1 and bool(config.weights)
    name = config.network.upper().replace("VGG", "VGG-")
    return f"{name} × {config.width:g}, {start}", SAME if same else OTHER


def _batch_norm(config: Config) -> Answer:
    if config.batch_norm == "all":
        return "after every convolution and before the head", OPEN
    return "once, between convolutions and head", OPEN


def _rate(config: Config) -> Answer:
    return f"Adam, {config.rate:g} at most", SAME if config.rate == RATE else OTHER


def _schedule(config: Config) -> Answer:
    if config.schedule != "plateau":
        return f"{config.schedule} rate, which needs fewer epochs", OTHER
    watched = "the metric" if config.watch == "val_f2" else "the validation loss"
    wait = f"{config.plateau} epochs (how many is not said)"
    text = f"× {FACTOR:g} after {wait} in which {watched} gets no better"
    return text, SAME if config.watch == "val_f2" else OTHER


def _stop(config: Config) -> Answer:
    if config.schedule != "plateau":
        return f"after {config.epochs} epochs, none earlier", OTHER
    same = config.patience == PATIENCE and config.watch == "val_f2"
    return f"after {config.patience} epochs, or {config.epochs} in all", SAME if same else OTHER


ASPECTS: tuple[Aspect, ...] = (
    Aspect(
        "order of transforms and split",
        "4.2",
        "在训练数据经过随机变换后以 8∶2 的比例随机分成训练集和验证集",
        "After the random transforms the training data are split 8:2 at random.",
        _always("split 8:2 by the hash of the name first, so that no chip is on both sides", OTHER),
    ),
    Aspect(
        "enlarging the training set",
        "3.1",
        "从而增加了训练数据集大小",
        "… and so enlarge the training set.",
        _always("as many chips as there are; each is transformed anew in every epoch", OTHER),
    ),
    Aspect(
        "random transforms",
        "3.1",
        "然后通过数种数据增强方法进行随机变换",
        "… then random transforms [figure 3: elastic, rotation, mirror, transpose].",
        _transforms,
    ),
    Aspect(
        "which chips are dehazed",
        "4.2",
        "将训练集中有云、雾的图片进行了除雾处理",
        "Of the training set the pictures with cloud and haze were dehazed.",
        _always("all chips (section 3.1); the two other readings in notebook 6", OTHER),
    ),
    Aspect(
        "mean removed",
        "4.2",
        "去除各维度均值",
        "… remove the mean of each channel.",
        _mean,
    ),
    Aspect(
        "size of the input",
        "4.2",
        "随后进行大小裁剪使得符合VGGNet输入",
        "Then the size is cut so that it fits VGGNet's input.",
        _size,
    ),
    Aspect(
        "network",
        "4.2",
        "并加载 Keras框架中的 VGGNet-16模型",
        "… and load Keras's VGGNet-16. [That it starts from its weights is a reading.]",
        _network,
    ),
    Aspect(
        "a model for each label",
        "3.2",
        "本方法采用了对每个标签进行单独训练模型的方式",
        "This method trains a model for each label on its own.",
        _always("one network for all labels; one for each label in the grids `labels…`", OTHER),
    ),
    Aspect(
        "batch normalisation",
        "4.2",
        "加载模型完成后进行批标准化",
        "After the model is loaded comes batch normalisation. [Where is not said.]",
        _batch_norm,
    ),
    Aspect(
        "flatten",
        "4.2",
        "在卷积层和全连接层之间使用扁平函数",
        "Between convolutions and dense layers a flattening is used.",
        _always("flatten", SAME),
    ),
    Aspect(
        "dense head",
        "4.2",
        "在卷积层和全连接层之间使用扁平函数",
        "[The dense layers have no number.]",
        lambda config: (f"one dense layer of {config.dense} × width, one sigmoid per label", OPEN),
    ),
    Aspect(
        "LeakyReLU",
        "4.2",
        "激活函数选择 LeakyReLU",
        "The activation is LeakyReLU. [Where, and its slope, is not said.]",
        _always("on the dense layer, slope 0.1; the convolutions of VGG-16 keep ReLU", OTHER),
    ),
    Aspect(
        "first learning rate",
        "4.2",
        "初始学习率 lr 为0.0001",
        "The first learning rate is 0.0001 [of adaptive moment estimation].",
        _rate,
    ),
    Aspect(
        "lowering the rate",
        "4.2",
        "采用当评价指标不再提升时减少学习率的策略",
        "… lower the rate when the metric does not improve any more. [After how long is not said.]",
        _schedule,
    ),
    Aspect(
        "end of training",
        "4.2",
        "当 3 个循环后评价指标都不再改善后将停止训练",
        "When the metric has not improved for 3 epochs training stops.",
        _stop,
    ),
    Aspect(
        "losses",
        "3.2",
        "训练时采用了 3 种损失 (loss) 函数",
        "Three losses were used in training. [No formula; what they sum over is not said.]",
        _always("log, F2 summed per label, hardest quarter of each batch; others beside", OPEN),
    ),
    Aspect(
        "what a label chooses among",
        "3.2",
        "于是选择每个标签在验证集上表现更好的使用的训练集训练出的模型",
        "… choose for each label the model of the training set that does better on validation.",
        _always("the training set and the loss, by F2 at the label's best threshold", OTHER),
    ),
    Aspect(
        "chips that ridge is fitted on",
        "3.3",
        "随后添加一个岭回归正则化层",
        "Then a ridge layer is added. [On which chips it is fitted is not said.]",
        _always("validation chips, on four folds of five", OPEN),
    ),
    Aspect(
        "transforms at prediction",
        "3.2",
        "测试时增强",
        "Test-time augmentation [figure 3: elastic, original shape, rotation, mirror].",
        _always("none for the scores; two symmetries in the released model", OTHER),
    ),
    Aspect(
        "batch size and epochs",
        "4.2",
        "当 3 个循环后评价指标都不再改善后将停止训练",
        "[Neither is given.]",
        lambda config: (f"{config.batch} chips, {config.epochs} epochs at most", OPEN),
    ),
)


def table(profiles: Iterable[str] = tuple(PROFILES)) -> pd.DataFrame:
    """A row for each aspect: `aspect`, `section`, `quote`, `english`, and a column per profile.

    A profile's cell says what its base network does, and in brackets whether that is as printed,
    deviates, or fills in what is not given.
    """
    rows = []
    for aspect in ASPECTS:
        row = {"aspect": aspect.name, "section": aspect.section, "quote": aspect.quote}
        row["english"] = aspect.english
        for name in profiles:
            text, answer = aspect.here(Config.of(PROFILES[name]))
            row[name] = f"{text} ({answer})"
        rows.append(row)
    return pd.DataFrame(rows)


def counts(found: pd.DataFrame, profile: str) -> dict[str, int]:
    """How many aspects of a profile are as printed, deviate, or are not given."""
    return {
        word: int(found[profile].str.endswith(f"({word})").sum()) for word in (SAME, OTHER, OPEN)
    }
