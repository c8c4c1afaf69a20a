"""Layers and fields that well-known forks of Caffe have and BVLC Caffe 1.0 has not: errors can name the fork."""

_SSD = "SSD (weiliu89/caffe)"
_FASTER_RCNN = "Faster R-CNN (rbgirshick/caffe-fast-rcnn)"
_RFCN = "R-FCN (daijifeng001/caffe-rfcn)"
_SEGNET = "SegNet (alexgkendall/caffe-segnet)"
_PSPNET = "PSPNet (hszhao/PSPNet)"
_DEEPLAB = "DeepLab (cdmh/deeplab-public)"
_CRF_RNN = "CRF-RNN (torrvision/crfasrnn)"
_FLOWNET = "FlowNet (lmb-freiburg/flownet2)"
_SENET = "SENet (hujie-frank/SENet)"
_NVIDIA = "NVIDIA's Caffe (NVIDIA/caffe)"
_INTEL = "Intel's Caffe (intel/caffe)"
_MOBILENET = "MobileNet (shicai/MobileNet-Caffe)"
_YOLO = "MobileNet-YOLO (eric612/MobileNet-YOLO)"
_SHUFFLENET = "ShuffleNet (farmingyard/ShuffleNet)"
_CENTERLOSS = "center loss (ydwen/caffe-face)"
_SPHEREFACE = "SphereFace (wy1iu/sphereface)"
_C3D = "C3D (facebookarchive/C3D)"
_TSN = "temporal segment networks (yjxiong/caffe)"
_DEFORMABLE = "deformable convolution (unsky/Deformable-ConvNets-caffe)"
_SPATIAL_TRANSFORMER = "spatial transformers (daerduoCarey/SpatialTransformerLayer)"
_OPENPOSE = "OpenPose (CMU-Perceptual-Computing-Lab/caffe_rtpose)"
_LSTM = "an LSTM older than Caffe's (junhyukoh/caffe-lstm); Caffe's is LSTM"

TYPES = {
    "AnnotatedData": f"{_SSD}, {_INTEL} and {_NVIDIA}",
    "ArmMultiBoxLoss": "RefineDet (sfzhang15/RefineDet)",
    "Axpy": _SENET,
    "BN": f"{_PSPNET} and {_SEGNET}",
    "BoxAnnotatorOHEM": _RFCN,
    "CPMData": _OPENPOSE,
    "CenterLoss": _CENTERLOSS,
    "ChannelNorm": _FLOWNET,
    "Convolution3D": _C3D,
    "ConvolutionDepthwise": _MOBILENET,
    "Correlation": _FLOWNET,
    "CustomData": _FLOWNET,
    "DataAugmentation": _FLOWNET,
    "Deconvolution3D": _C3D,
    "DeformableConvolution": _DEFORMABLE,
    "DenseCRF": _DEEPLAB,
    "DenseImageData": _SEGNET,
    "DepthwiseConvolution": _MOBILENET,
    "DetectNetTransformation": _NVIDIA,
    "DetectionEvaluate": _SSD,
    "DetectionOutput": _SSD,
    "DomainTransform": _DEEPLAB,
    "Downsample": _FLOWNET,
    "FLOWriter": _FLOWNET,
    "FloatReader": _FLOWNET,
    "FloatWriter": _FLOWNET,
    "FlowAugmentation": _FLOWNET,
    "FlowWarp": _FLOWNET,
    "GenerateAugmentationParameters": _FLOWNET,
    "ImResize": _OPENPOSE,
    "ImageSegData": _DEEPLAB,
    "ImgReader": _FLOWNET,
    "ImgWriter": _FLOWNET,
    "Interp": f"{_DEEPLAB} and {_PSPNET}",
    "L1Loss": f"{_FLOWNET} and {_NVIDIA}",
    "LpqLoss": _FLOWNET,
    "Lstm": _LSTM,
    "MarginInnerProduct": _SPHEREFACE,
    "MatRead": _DEEPLAB,
    "MatWrite": _DEEPLAB,
    "Mean": _FLOWNET,
    "Mish": _YOLO,
    "MultiBoxLoss": _SSD,
    "MultiStageMeanfield": _CRF_RNN,
    "NDConvolution": _C3D,
    "NDPooling": _C3D,
    "Nms": _OPENPOSE,
    "Normalize": _SSD,
    "OdmMultiBoxLoss": "RefineDet (sfzhang15/RefineDet)",
    "PSROIPooling": _RFCN,
    "Permute": _SSD,
    "Pooling3D": _C3D,
    "PriorBox": _SSD,
    "ROIPooling": _FASTER_RCNN,
    "ReLU6": _YOLO,
    "Region": _YOLO,
    "RegionLoss": _YOLO,
    "Reorg": _YOLO,
    "Resample": _FLOWNET,
    "SegAccuracy": _DEEPLAB,
    "SegData": _TSN,
    "ShuffleChannel": _SHUFFLENET,
    "SmoothL1Loss": f"{_FASTER_RCNN} and {_SSD}",
    "SmoothL1LossOHEM": _RFCN,
    "SpatialTransformer": _SPATIAL_TRANSFORMER,
    "SpatialTransformerLoss": _SPATIAL_TRANSFORMER,
    "UniqueLabel": _DEEPLAB,
    "Upsample": _SEGNET,
    "VideoData": f"{_SSD}, {_C3D} and {_TSN}",
    "YoloDetectionOutput": _YOLO,
    "Yolov3": _YOLO,
    "Yolov3DetectionOutput": _YOLO,
}
"""Layer type → the fork that has it."""

FIELDS = {
    "channel_norm_param": _FLOWNET,
    "convolution3d_param": _C3D,
    "fix_crop": _TSN,
    "img_rand_resize_lower": _NVIDIA,
    "img_rand_resize_upper": _NVIDIA,
    "is_flow": _TSN,
    "larc": _NVIDIA,
    "larc_policy": _NVIDIA,
    "larc_turbo": _NVIDIA,
    "local_gw_ratio": _NVIDIA,
    "local_lr_auto": _NVIDIA,
    "max_distort": _TSN,
    "min_lr": _NVIDIA,
    "more_fix_crop": _TSN,
    "multi_scale": _TSN,
    "multi_stage_meanfield_param": _CRF_RNN,
    "pooling3d_param": _C3D,
    "rampup_interval": _NVIDIA,
    "rampup_lr": _NVIDIA,
    "random_aspect_ratio_param": _INTEL,
    "random_resize_param": _INTEL,
    "region_param": _YOLO,
    "scale_ratios": _TSN,
    "store_blobs_in_old_format": _NVIDIA,
    "test_and_snapshot_last_epochs": _NVIDIA,
}
"""Field of a layer, of one of its blocks, of a net or of a solver → the fork that has it."""
