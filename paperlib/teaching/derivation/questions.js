/* What the page asks: a guess before each map, and six exercises. Every answer has its reason.
   A text is [English, Chinese]; in PREDICT the answer at `right` is the right one. */
"use strict";

const PREDICT = {
  dark: { ask: ["Guess: how does the dark channel of this picture look?", "先猜：这张图像的暗通道是什么样子？"],
    right: 1, answers: [
      [["like the picture in grey", "像灰度图"], ["No: it is a minimum, so one dark pixel makes its whole window dark.", "不对：取的是最小值，一个暗像素会让整个窗口变暗。"]],
      [["much darker, in square blocks", "暗得多，呈方块状"], ["Yes: the least value spreads over the whole window around it.", "对：最小值会扩散到它周围的整个窗口。"]],
      [["brighter: the window collects light", "更亮：窗口会收集光"], ["No: nothing is added up; only the smallest value is left.", "不对：没有求和，只留下最小值。"]]] },
  prior: { ask: ["Guess: in how many of its pixels is the dark channel below 25 of 255?", "先猜：暗通道低于 25（满值 255）的像素占多少？"],
    right: -1, answers: [
      [["hardly any", "几乎没有"], ["", ""]], [["about half", "大约一半"], ["", ""]], [["most of them", "大多数"], ["", ""]]] },
  haze: { ask: ["Guess: what does haze do to the differences between pixels?", "先猜：雾对像素之间的差异有什么影响？"],
    right: 2, answers: [
      [["they grow: haze makes brighter", "变大：雾使图像变亮"], ["No: the same A·(1 − t) is added to both pixels, it drops out of the difference.", "不对：两个像素加上的 A·(1 − t) 相同，相减后抵消。"]],
      [["they stay: haze only adds light", "不变：雾只是加了光"], ["Not quite: J is also multiplied by t, so the difference is too.", "不完全对：J 还乘上了 t，差也就乘上了 t。"]],
      [["they shrink by the factor t", "缩小为 t 倍"], ["Yes: A·(1 − t) drops out of a difference, t does not.", "对：A·(1 − t) 在差里抵消，t 留下。"]]] },
  divide: { ask: ["Guess: what changes when each colour is divided by its A?", "先猜：每个颜色除以各自的 A，会改变什么？"],
    right: 1, answers: [
      [["there is less haze", "雾变少"], ["No: t is as it was. Only colours are scaled.", "不对：t 没有变，只是颜色被缩放。"]],
      [["only the tint: haze becomes white", "只是色调：雾变成白色"], ["Yes: where t = 0, I/A = 1 in all three colours.", "对：在 t = 0 处，三个颜色的 I/A 都为 1。"]],
      [["the picture gets darker", "图像变暗"], ["No: A is at most 1, so nothing gets smaller by dividing by it.", "不对：A 不超过 1，除以它不会变小。"]]] },
  minimum: { ask: ["Why may t stand in front of the minimum?", "为什么 t 可以提到最小值前面？"],
    right: 0, answers: [
      [["it is constant in the window, and not negative", "它在窗口内不变，且不为负"], ["Yes. A negative factor would turn the minimum into a maximum.", "对。负的因子会把最小值变成最大值。"]],
      [["a minimum is linear", "取最小值是线性运算"], ["No: the minimum of a sum is not the sum of the minima.", "不对：和的最小值不等于最小值的和。"]],
      [["t is the same in the whole picture", "t 在整张图里都相同"], ["Not needed: it may change from window to window, only not within one.", "不需要：窗口之间可以变，只是窗口之内不变。"]]] },
  zero: { ask: ["Guess: for which ground is this farthest from 0?", "先猜：哪种地面上它离 0 最远？"],
    right: 2, answers: [
      [["forest", "森林"], ["No: shadows between the crowns are dark in every window.", "不对：树冠之间的阴影让每个窗口都有暗处。"]],
      [["deep water", "深水"], ["No: it may be a little farther than forest, but water is dark, above all in red.", "不对：可能比森林略远，但水很暗，尤其是红色通道。"]],
      [["sand, cloud, a white roof", "沙地、云、白屋顶"], ["Yes: bright in all three colours, and no shadow in the window.", "对：三个颜色都亮，窗口里又没有阴影。"]]] },
  solve: { ask: ["Guess: where the ground is bright, (7) finds a t that is …", "先猜：在明亮的地面上，(7) 得到的 t …"],
    right: 0, answers: [
      [["too small", "太小"], ["Yes: brightness of the ground is taken for haze.", "对：地面的亮度被当成了雾。"]],
      [["right", "正确"], ["Only where the dark channel of J is 0; bright ground is where it is not.", "只有 J 的暗通道为 0 才正确；明亮的地面恰恰不是。"]],
      [["too large", "太大"], ["No: bright ground makes I/A larger, so 1 minus it is smaller.", "不对：明亮的地面使 I/A 变大，1 减去它变小。"]]] },
  omega: { ask: ["Guess: with ω = 0.95 instead of 1, t becomes …", "先猜：ω 从 1 变成 0.95，t 会 …"],
    right: 1, answers: [
      [["smaller everywhere", "处处变小"], ["No: less is subtracted from 1.", "不对：从 1 里减去的变少了。"]],
      [["larger, most where haze is thick", "变大，雾浓处最明显"], ["Yes: it rises by 0.05 · min I/A, and that is large in haze.", "对：增加 0.05 · min I/A，雾浓处这一项大。"]],
      [["larger by 0.05 everywhere", "处处增加 0.05"], ["Not quite: 0.05 is multiplied by min I/A, which is small in clear air.", "不完全对：0.05 还要乘上 min I/A，空气清澈处它很小。"]]] },
  light: { ask: ["With the same thin haze everywhere, the estimated A is …", "如果雾处处一样薄，估计出的 A …"],
    right: 2, answers: [
      [["right: haze is haze", "正确：雾就是雾"], ["No: no pixel shows A itself, since t is nowhere near 0.", "不对：没有像素直接显示 A，因为 t 不接近 0。"]],
      [["too bright", "太亮"], ["Rarely: I lies between J and A, and J is mostly darker than A.", "很少：I 介于 J 和 A 之间，而 J 多半比 A 暗。"]],
      [["the brightest hazy ground, mostly too dark", "最亮的带雾地面，多半太暗"], ["Yes: where no pixel is hidden by haze, A is not in the picture.", "对：没有像素被雾完全遮住，A 就不在图像里。"]]] },
  filter: { ask: ["Does the filter also mend a t that bright ground made too small?", "亮地面使 t 偏小，滤波能修正吗？"],
    right: 1, answers: [
      [["yes", "能"], ["No: it moves edges, it does not know the truth. Choose the scene “fields, road and houses” and see.", "不能：它只移动边缘，并不知道真值。请选择场景“农田、道路和房屋”看看。"]],
      [["no, only the outlines", "不能，只修正轮廓"], ["Yes: the mean over a large window is still too small there.", "对：大窗口上的平均值在那里仍然偏小。"]]] },
  recover: { ask: ["Guess: what happens in the thickest haze if t₀ is set to 0.01?", "先猜：若把 t₀ 设为 0.01，最浓的雾里会怎样？"],
    right: 0, answers: [
      [["noise and grey levels are blown up", "噪声和灰度级被放大"], ["Yes: dividing by 0.01 makes one grey level into a hundred.", "对：除以 0.01 会把一个灰度级变成一百个。"]],
      [["more haze is left", "留下更多雾"], ["The other way round: a large t₀ leaves haze.", "正好相反：t₀ 大才会留下雾。"]],
      [["nothing, wherever you look", "哪里都没有变化"], ["True where every t is above t₀ (the slider says how many pixels are below it), but not in thick haze. Set the haze (step 3) to 0.95 and look at the picture: PSNR hardly tells noise from haze.", "当所有 t 都大于 t₀ 时确实如此（滑块会显示有多少像素低于它），但浓雾里不是。把雾量（第 3 步）调到 0.95 再看图像：PSNR 几乎分不出噪声和雾。"]]] },
};

/* value → why it is wrong. Numbers within `within` of it count as it. */
const EXERCISES = [
  { id: "haze", title: ["1. The haze model, equation 3", "1. 有雾图像模型，公式 3"],
    ask: ["A pixel has J = 0.2, t = 0.6 and A = 0.9. How bright is it in the hazy picture?", "一个像素 J = 0.2，t = 0.6，A = 0.9。有雾图像中它的亮度是多少？"],
    right: 0.48, within: 0.004,
    wrong: [
      [1.02, ["The light of the haze is added unweighted. Where air is clear (t = 1) no haze light may arrive: it counts as A·(1 − t).", "雾的光没有加权。空气清澈时（t = 1）不应有雾的光：应为 A·(1 − t)。"]],
      [0.62, ["t and 1 − t have changed places: t = 1 means clear air.", "t 和 1 − t 写反了：t = 1 表示没有雾。"]],
      [0.12, ["That is the ground's light alone; the haze adds light of its own.", "这只是地面的光；雾自己还会加上光。"]],
      [0.36, ["That is the haze's light alone; the fraction t of the ground's light comes through.", "这只是雾的光；地面的光还有 t 的比例透过来。"]],
      [0.66, ["J has to be weighted by t as well.", "J 也要乘上 t。"]],
      [0.324, ["A·(1 − t) comes on top of J·t; it is not multiplied by t again.", "A·(1 − t) 是加上去的，没有乘以 t。"]]],
    way: ["0.2 · 0.6 + 0.9 · (1 − 0.6) = 0.12 + 0.36 = 0.48.", "0.2 · 0.6 + 0.9 · (1 − 0.6) = 0.12 + 0.36 = 0.48。"] },
  { id: "dark", title: ["2. The dark channel, equation 1", "2. 暗通道，公式 1"],
    ask: ["The upper left corner of a picture, in grey levels R, G, B. What is the dark channel of the pixel in the corner (bold), with a window of 3 × 3?", "一张图像的左上角，数值为 R, G, B 灰度级。窗口 3 × 3 时，角上像素（粗体）的暗通道是多少？"],
    table: [["<b>90, 70, 80</b>", "60, 95, 75", "20, 30, 40"], ["85, 65, 55", "99, 50, 88", "10, 80, 90"], ["5, 90, 70", "70, 15, 60", "80, 80, 80"]],
    right: 50, within: 0.4,
    wrong: [
      [70, ["That is the smallest colour of this pixel only; the window is missing.", "这只是该像素自己的最小颜色；还要取窗口。"]],
      [0, ["Outside the picture there are no zeros: the window is clipped at the border.", "图像外不是 0：窗口在边界处截断。"]],
      [5, ["The window is too large: 3 × 3 reaches one pixel to each side, not two.", "窗口太大：3 × 3 只向每边伸出一个像素，不是两个。"]],
      [60, ["That is the least of the first row (or of red alone). The window goes down as well, and all three colours count.", "这是第一行（或只看红色）的最小值。窗口也向下延伸，三个颜色都要算。"]],
      [55, ["That is the least of the first column (or of blue alone). The window goes to the right as well, and all three colours count.", "这是第一列（或只看蓝色）的最小值。窗口也向右延伸，三个颜色都要算。"]],
      [68.33, ["That is the least mean of the colours; take their minimum instead.", "这是颜色平均值的最小值；应取最小的颜色。"]],
      [99, ["That is a maximum; the dark channel takes minima.", "这是最大值；暗通道取最小值。"]],
      [15, ["The window is too large: 3 × 3 reaches one pixel to each side.", "窗口太大：3 × 3 只向每边伸出一个像素。"]],
      [10, ["The window is not centred: 3 × 3 around the corner pixel holds 2 × 2 pixels of the picture.", "窗口没有居中：以角上像素为中心的 3 × 3 在图像内只有 2 × 2 个像素。"]]],
    way: ["Of the 3 × 3 window 2 × 2 pixels lie inside. Their smallest colours are 70, 60, 55, 50; the least is 50.", "3 × 3 窗口内有 2 × 2 个像素在图像中，它们的最小颜色为 70、60、55、50；其中最小的是 50。"] },
  { id: "light", title: ["3. The atmospheric light", "3. 大气光"],
    ask: ["Ten pixels, fraction 0.2. What is the red part of A, in grey levels?", "十个像素，比例 0.2。A 的红色分量是多少（灰度级）？"],
    table: [["<span lang=\"en\">dark channel</span><span lang=\"zh\">暗通道</span>", "R", "G", "B"], ["90", "120", "110", "100"], ["150", "200", "190", "180"], ["40", "255", "255", "250"], ["150", "190", "190", "190"], ["160", "170", "170", "180"], ["100", "110", "130", "140"], ["30", "60", "70", "80"], ["150", "160", "180", "170"], ["120", "236", "236", "230"], ["60", "80", "90", "95"]],
    right: 195, within: 0.4,
    wrong: [
      [255, ["That is the brightest pixel of all, a white roof with a dark channel of 40. Only candidates count.", "这是全图最亮的像素，是暗通道只有 40 的白屋顶。只能从候选像素里取。"]],
      [180, ["That is the mean of all candidates; only the brightest of them, by R + G + B, count.", "这是全部候选像素的平均；只取其中 R + G + B 最大的。"]],
      [200, ["Two candidates are equally bright (R + G + B = 570). A is the mean of both.", "有两个候选像素一样亮（R + G + B = 570），A 是两者的平均。"]],
      [190, ["Two candidates are equally bright (R + G + B = 570). A is the mean of both.", "有两个候选像素一样亮（R + G + B = 570），A 是两者的平均。"]],
      [170, ["That is the pixel of the largest dark channel; of all candidates the brightest is wanted.", "这是暗通道最大的像素；应在所有候选像素中取最亮的。"]],
      [185, ["⌈0.2 · 10⌉ = 2 sets the threshold, 150. Every pixel that reaches it is a candidate: ties are kept.", "⌈0.2 · 10⌉ = 2 确定阈值 150。达到它的像素都是候选：相等的全部保留。"]],
      [160, ["That pixel is a candidate, but two of them are brighter, by R + G + B.", "该像素是候选，但按 R + G + B 有两个更亮。"]],
      [236, ["That pixel's dark channel is 120; the threshold is the second largest, 150.", "该像素的暗通道是 120；阈值是第二大的值 150。"]]],
    way: ["The second largest dark channel is 150, so four pixels are candidates. Their R + G + B: 570, 570, 520, 510. The mean red of the two brightest is (200 + 190) / 2 = 195.", "第二大的暗通道是 150，所以有四个候选像素，R + G + B 为 570、570、520、510。最亮的两个的红色平均为 (200 + 190) / 2 = 195。"] },
  { id: "transmission", title: ["4. The transmission, equation 8", "4. 透射率，公式 8"],
    ask: ["In a window the smallest red is 0.40, green 0.36, blue 0.42. A = (0.80, 0.90, 0.70) and ω = 0.9. What is t̃?", "窗口内红、绿、蓝的最小值为 0.40、0.36、0.42，A = (0.80, 0.90, 0.70)，ω = 0.9。t̃ 是多少？"],
    right: 0.64, within: 0.004,
    wrong: [
      [0.6, ["ω is missing.", "漏了 ω。"]],
      [0.676, ["The picture is not divided by A: haze is as bright as A, not as 1.", "没有除以 A：雾的亮度是 A，不是 1。"]],
      [0.54, ["ω stands before the whole difference; it belongs to the minimum.", "ω 乘在了整个差上；它只乘最小值。"]],
      [0.36, ["That is the haze that is taken away, ω · min; t̃ is one minus it.", "这是去掉的雾 ω · min；t̃ 是 1 减去它。"]],
      [0.4, ["That is min I/A; t̃ = 1 − ω · min I/A.", "这是 min I/A；t̃ = 1 − ω · min I/A。"]],
      [0.595, ["A is divided out with one number for all; each colour has its own.", "三个颜色除以了同一个数；每个颜色有自己的 A。"]],
      [0.55, ["That is with red; divide first, then the smallest of the three is green.", "这是红色的结果；先除，再取三者中最小的，是绿色。"]],
      [0.46, ["That is the largest of the three ratios; the dark channel takes the smallest.", "这是三个比值中最大的；暗通道取最小的。"]],
      [0.5371, ["A is divided out after the minimum, with the A of another colour.", "A 在取最小值之后才除，而且用了别的颜色的 A。"]]],
    way: ["0.40/0.80 = 0.5, 0.36/0.90 = 0.4, 0.42/0.70 = 0.6. The smallest is 0.4, so t̃ = 1 − 0.9 · 0.4 = 0.64.", "0.40/0.80 = 0.5，0.36/0.90 = 0.4，0.42/0.70 = 0.6。最小的是 0.4，所以 t̃ = 1 − 0.9 · 0.4 = 0.64。"] },
  { id: "recover", title: ["5. Recovery, equation 9", "5. 恢复，公式 9"],
    ask: ["I = 0.85, A = 0.9, t = 0.04, t₀ = 0.1. What is J, kept within 0…1?", "I = 0.85，A = 0.9，t = 0.04，t₀ = 0.1。J 是多少（限制在 0…1）？"],
    right: 0.4, within: 0.004,
    wrong: [
      [-0.35, ["t₀ is missing: t = 0.04 is below it. (And the result left 0…1.)", "漏了 t₀：t = 0.04 小于它。（而且结果超出了 0…1。）"]],
      [0, ["t₀ is missing, or A is not added back after the division: both give a number below 0, clipped to 0.", "漏了 t₀，或者除完没有把 A 加回来：两者都得到负数，被截断为 0。"]],
      [-0.5, ["A is not added back after the division.", "除完之后没有把 A 加回来。"]],
      [0.543, ["t₀ is added to t; it is a floor, the larger of the two divides.", "把 t₀ 加到了 t 上；它是下限，取两者中较大的来除。"]],
      [1, ["A is subtracted after the division; subtract it before, or the division blows it up too.", "A 在除之后才减；要先减，否则 A 也被放大。"]],
      [8.5, ["A is subtracted after the division, and the result is not clipped.", "A 在除之后才减，而且结果没有截断。"]],
      [1.4, ["The sign of I − A is turned: I is darker than A here.", "I − A 的符号反了：这里 I 比 A 暗。"]],
      [0.85, ["That is I itself: its difference from A still has to be divided by the larger of t and t₀.", "这就是 I 本身：它与 A 的差还要除以 t 和 t₀ 中较大的。"]],
      [0.898, ["That multiplies by t; (9) divides.", "这是乘以 t；(9) 里是除。"]],
      [0.895, ["That multiplies by t₀; (9) divides.", "这是乘以 t₀；(9) 里是除。"]]],
    way: ["max(0.04, 0.1) = 0.1, and (0.85 − 0.9)/0.1 + 0.9 = −0.5 + 0.9 = 0.4.", "max(0.04, 0.1) = 0.1，(0.85 − 0.9)/0.1 + 0.9 = −0.5 + 0.9 = 0.4。"] },
  { id: "sand", title: ["6. Sand", "6. 沙地"],
    ask: ["A sand bank has 0.6 in its darkest channel everywhere, A is 0.8 in all channels, the true t is 0.7 and ω = 0.95. Which t does equation 8 find?", "一片沙洲最暗的通道处处为 0.6，A 在各通道都是 0.8，真实的 t 是 0.7，ω = 0.95。公式 8 得到的 t 是多少？"],
    right: 0.21625, within: 0.004,
    wrong: [
      [0.7, ["That is the true t. Put I = J·t + A·(1 − t) into (8) and see what comes out.", "这是真实的 t。把 I = J·t + A·(1 − t) 代入 (8) 看结果。"]],
      [0.175, ["That is with ω = 1; here ω is 0.95.", "这是 ω = 1 的结果；这里 ω 是 0.95。"]],
      [0.715, ["That is what (8) gives over dark ground, J = 0; the sand has J = 0.6.", "这是暗地面（J = 0）的结果；沙地 J = 0.6。"]],
      [0.316, ["The haze model has to be divided by A: J/A = 0.75.", "模型要除以 A：J/A = 0.75。"]],
      [0.373, ["I = 0.66 still has to be divided by A.", "I = 0.66 还要除以 A。"]],
      [0.784, ["That is ω · min I/A; t̃ is one minus that.", "这是 ω · min I/A；t̃ 是 1 减去它。"]],
      [0.66, ["That is I of the sand. Divide it by A, then put it into (8).", "这是沙地的 I。除以 A，再代入 (8)。"]],
      [0.825, ["That is I/A of the sand; t̃ = 1 − ω · I/A.", "这是沙地的 I/A；t̃ = 1 − ω · I/A。"]],
      [0.75, ["That is J/A. The haze is on top: I/A = t · J/A + 1 − t.", "这是 J/A。还要加上雾：I/A = t · J/A + 1 − t。"]],
      [0.2875, ["That is (8) on J instead of I: what is seen is the hazy sand.", "这是把 J 代入了 (8)；看到的是带雾的沙地 I。"]],
      [0.43, ["That is (8) on J, and without A: what is seen is I, and A is 0.8.", "这是把 J 代入了 (8)，而且没有除以 A；看到的是 I，且 A 是 0.8。"]],
      [21.6, ["As a number from 0 to 1, please, not in per cent.", "请用 0 到 1 的数，不用百分数。"]]],
    way: ["I = 0.6 · 0.7 + 0.8 · 0.3 = 0.66, I/A = 0.825, t̃ = 1 − 0.95 · 0.825 = 0.216: a third of the truth. The prior takes bright ground for haze.", "I = 0.6 · 0.7 + 0.8 · 0.3 = 0.66，I/A = 0.825，t̃ = 1 − 0.95 · 0.825 = 0.216：只有真值的三分之一。先验把明亮的地面当成了雾。"] },
];

/* {ok, why}: what is said of one answer. */
function judge(exercise, text) {
  const value = Number(String(text).trim().replace(",", ".").replace("−", "-").replace(/%$/, ""));
  if (!String(text).trim() || !Number.isFinite(value)) {
    return { ok: false, why: ["A number is wanted.", "请填一个数。"] }; // a slip of the keyboard is no try
  }
  if (Math.abs(value - exercise.right) <= exercise.within) {
    return { ok: true, why: exercise.way };
  }
  const near = exercise.wrong.filter(([number]) => Math.abs(value - number) <= exercise.within)
    .sort((a, b) => Math.abs(value - a[0]) - Math.abs(value - b[0]));
  return { ok: false, counts: true, why: near.length ? near[0][1] : exercise.table ? UNNAMED_TABLE : UNNAMED };
}

const UNNAMED = ["That is none of the usual slips. Write the equation with all numbers in it, one step a line, and look at which number stands where.",
  "这不是常见的错误。请把所有数代入公式，一步一行写下来，检查每个数的位置。"];
const UNNAMED_TABLE = ["That is none of the usual slips. First say which pixels count, then write down their numbers, then take the one that is asked for.",
  "这不是常见的错误。先确定哪些像素算在内，再写下它们的数，最后取所求的那个。"];
