"""Networks: built, rebuilt, counted, made smaller. Knows nothing of chips or training.

build        VGG of any configuration and width, with its head; every network by its name
backbones    ResNet, Inception and MobileNet of any width, rebuilt from `keras.applications`
pretrained   ready-made weights, found by name and checked by digest
download_vgg16  the one that the shipped full-width runs started from
augment      random transforms for training, test-time averaging
views        the eight symmetries that a prediction is averaged over
conversions  the same function as another network: batch normalisation folded, dense as convolution
complexity   parameters and multiply-adds
compression  half precision, 8 bits, pruning
onnx_export  a Keras network as the ONNX graph that a release holds
eight_bits   that graph quantised to 8 bits
outline      a Keras graph as boxes for a diagram
"""
