"""What is known of torchvision's classifiers without torch: which there are, their weights, their stages.

The default weights of each, trained on ImageNet-1k. tests/engine/test_published_weights.py compares every line with the
torchvision that is installed. Left out are RegNet-Y 128GF and ViT-H/14: their weights may not be used commercially.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidal_core.engine.preprocessing import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
HALVES = (0.5, 0.5, 0.5)

FAMILIES = ("resnet", "convnext", "efficientnet", "mobilenet_v2", "mobilenet_v3", "regnet", "swin", "vit")
"""How the names of models begin; ResNeXt and wide ResNets are ResNets."""


@dataclass(frozen=True)
class TorchvisionFacts:
    """One classifier with its default weights."""

    model: str  # its name in torchvision
    family: str
    file: str  # of the weights; a part of its SHA-256 ends the name
    megabytes: int  # of the file
    stage_channels: tuple[int, ...]  # of ``TorchvisionBackbone``
    smallest_side: int  # pixels: of the smallest images that pass
    preprocessing: Preprocessing


def _facts(
    model: str,
    file: str,
    megabytes: int,
    stage_channels: tuple[int, ...],
    side: int = 224,
    *,
    bicubic: bool = False,
    halves: bool = False,
) -> TorchvisionFacts:
    family = "resnet" if "res" in model else next(name for name in FAMILIES if model.startswith(name))
    mean, std = (HALVES, HALVES) if halves else (MEAN, STD)
    smallest_side = 32 if family == "convnext" else 8
    preprocessing = Preprocessing(side, mean, std, "bicubic" if bicubic else "bilinear", resizes=True)
    return TorchvisionFacts(model, family, file, megabytes, stage_channels, smallest_side, preprocessing)


_ALL = (
    _facts("convnext_base", "convnext_base-6075fbad.pth", 338, (128, 256, 512, 1024)),
    _facts("convnext_large", "convnext_large-ea097f82.pth", 755, (192, 384, 768, 1536)),
    _facts("convnext_small", "convnext_small-0c510722.pth", 192, (96, 192, 384, 768)),
    _facts("convnext_tiny", "convnext_tiny-983f1562.pth", 109, (96, 192, 384, 768)),
    _facts("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 20, (24, 40, 112, 320, 1280), bicubic=True),
    _facts("efficientnet_b1", "efficientnet_b1-c27df63c.pth", 30, (24, 40, 112, 320, 1280), 240),
    _facts(
        "efficientnet_b2", "efficientnet_b2_rwightman-c35c1473.pth", 35, (24, 48, 120, 352, 1408), 288, bicubic=True
    ),
    _facts(
        "efficientnet_b3", "efficientnet_b3_rwightman-b3899882.pth", 47, (32, 48, 136, 384, 1536), 300, bicubic=True
    ),
    _facts(
        "efficientnet_b4", "efficientnet_b4_rwightman-23ab8bcd.pth", 74, (32, 56, 160, 448, 1792), 380, bicubic=True
    ),
    _facts(
        "efficientnet_b5", "efficientnet_b5_lukemelas-1a07897c.pth", 117, (40, 64, 176, 512, 2048), 456, bicubic=True
    ),
    _facts(
        "efficientnet_b6", "efficientnet_b6_lukemelas-24a108a5.pth", 165, (40, 72, 200, 576, 2304), 528, bicubic=True
    ),
    _facts(
        "efficientnet_b7", "efficientnet_b7_lukemelas-c5b4e57e.pth", 255, (48, 80, 224, 640, 2560), 600, bicubic=True
    ),
    _facts(
        "efficientnet_v2_l",
        "efficientnet_v2_l-59c71312.pth",
        455,
        (64, 96, 224, 640, 1280),
        480,
        bicubic=True,
        halves=True,
    ),
    _facts("efficientnet_v2_m", "efficientnet_v2_m-dc08266a.pth", 208, (48, 80, 176, 512, 1280), 480),
    _facts("efficientnet_v2_s", "efficientnet_v2_s-dd5fe13b.pth", 83, (48, 64, 160, 256, 1280), 384),
    _facts("mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", 14, (24, 32, 96, 320, 1280)),
    _facts("mobilenet_v3_large", "mobilenet_v3_large-5c1a4163.pth", 21, (24, 40, 112, 160, 1280)),
    _facts("mobilenet_v3_small", "mobilenet_v3_small-047dcff4.pth", 10, (16, 24, 48, 96, 1024)),
    _facts("regnet_x_16gf", "regnet_x_16gf-ba3796d7.pth", 208, (256, 512, 896, 2048)),
    _facts("regnet_x_1_6gf", "regnet_x_1_6gf-a12f2b72.pth", 35, (72, 168, 408, 912)),
    _facts("regnet_x_32gf", "regnet_x_32gf-6eb8fdc6.pth", 412, (336, 672, 1344, 2520)),
    _facts("regnet_x_3_2gf", "regnet_x_3_2gf-7071aa85.pth", 59, (96, 192, 432, 1008)),
    _facts("regnet_x_400mf", "regnet_x_400mf-62229a5f.pth", 21, (32, 64, 160, 400)),
    _facts("regnet_x_800mf", "regnet_x_800mf-94a99ebd.pth", 28, (64, 128, 288, 672)),
    _facts("regnet_x_8gf", "regnet_x_8gf-2b70d774.pth", 151, (80, 240, 720, 1920)),
    _facts("regnet_y_16gf", "regnet_y_16gf-3e4a00f9.pth", 319, (224, 448, 1232, 3024)),
    _facts("regnet_y_1_6gf", "regnet_y_1_6gf-0d7bc02a.pth", 43, (48, 120, 336, 888)),
    _facts("regnet_y_32gf", "regnet_y_32gf-8db6d4b5.pth", 554, (232, 696, 1392, 3712)),
    _facts("regnet_y_3_2gf", "regnet_y_3_2gf-9180c971.pth", 75, (72, 216, 576, 1512)),
    _facts("regnet_y_400mf", "regnet_y_400mf-e6988f5f.pth", 17, (48, 104, 208, 440)),
    _facts("regnet_y_800mf", "regnet_y_800mf-58fc7688.pth", 25, (64, 144, 320, 784)),
    _facts("regnet_y_8gf", "regnet_y_8gf-dc2b1b54.pth", 151, (224, 448, 896, 2016)),
    _facts("resnet101", "resnet101-cd907fc2.pth", 171, (256, 512, 1024, 2048)),
    _facts("resnet152", "resnet152-f82ba261.pth", 230, (256, 512, 1024, 2048)),
    _facts("resnet18", "resnet18-f37072fd.pth", 45, (64, 128, 256, 512)),
    _facts("resnet34", "resnet34-b627a593.pth", 83, (64, 128, 256, 512)),
    _facts("resnet50", "resnet50-11ad3fa6.pth", 98, (256, 512, 1024, 2048)),
    _facts("resnext101_32x8d", "resnext101_32x8d-110c445d.pth", 340, (256, 512, 1024, 2048)),
    _facts("resnext101_64x4d", "resnext101_64x4d-173b62eb.pth", 319, (256, 512, 1024, 2048)),
    _facts("resnext50_32x4d", "resnext50_32x4d-1a0047aa.pth", 96, (256, 512, 1024, 2048)),
    _facts("swin_b", "swin_b-68c6b09e.pth", 335, (128, 256, 512, 1024), bicubic=True),
    _facts("swin_s", "swin_s-5e29d889.pth", 190, (96, 192, 384, 768), bicubic=True),
    _facts("swin_t", "swin_t-704ceda3.pth", 108, (96, 192, 384, 768), bicubic=True),
    _facts("swin_v2_b", "swin_v2_b-781e5279.pth", 336, (128, 256, 512, 1024), 256, bicubic=True),
    _facts("swin_v2_s", "swin_v2_s-637d8ceb.pth", 191, (96, 192, 384, 768), 256, bicubic=True),
    _facts("swin_v2_t", "swin_v2_t-b137f0e2.pth", 109, (96, 192, 384, 768), 256, bicubic=True),
    _facts("vit_b_16", "vit_b_16-c867db91.pth", 330, (768, 768, 768, 768)),
    _facts("vit_b_32", "vit_b_32-d86f8d99.pth", 337, (768, 768, 768, 768)),
    _facts("vit_l_16", "vit_l_16-852ce7e3.pth", 1161, (1024, 1024, 1024, 1024)),
    _facts("vit_l_32", "vit_l_32-c7638314.pth", 1169, (1024, 1024, 1024, 1024)),
    _facts("wide_resnet101_2", "wide_resnet101_2-d733dc28.pth", 485, (256, 512, 1024, 2048)),
    _facts("wide_resnet50_2", "wide_resnet50_2-9ba9bcbe.pth", 263, (256, 512, 1024, 2048)),
)

TORCHVISION: dict[str, TorchvisionFacts] = {f"torchvision/{facts.model}": facts for facts in _ALL}
"""Every classifier of torchvision that can be used, by its name here."""
