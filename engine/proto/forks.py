"""Layers that well-known forks of Caffe have and BVLC Caffe 1.0 has not, for errors that can name the fork."""

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
_MOBILENET = "MobileNet (shicai/MobileNet-Caffe)"
_SHUFFLENET = "ShuffleNet (farmingyard/ShuffleNet)"
_CENTERLOSS = "center loss (ydwen/caffe-face)"

TYPES = {
    "AnnotatedData": _SSD,
    "Axpy": _SENET,
    "BN": f"{_PSPNET} and {_SEGNET}",
    "BoxAnnotatorOHEM": _RFCN,
    "CenterLoss": _CENTERLOSS,
    "ConvolutionDepthwise": _MOBILENET,
    "Correlation": _FLOWNET,
    "DenseImageData": _SEGNET,
    "DepthwiseConvolution": _MOBILENET,
    "DetectNetTransformation": _NVIDIA,
    "DetectionEvaluate": _SSD,
    "DetectionOutput": _SSD,
    "FlowWarp": _FLOWNET,
    "ImageSegData": _DEEPLAB,
    "Interp": f"{_DEEPLAB} and {_PSPNET}",
    "MultiBoxLoss": _SSD,
    "MultiStageMeanfield": _CRF_RNN,
    "Normalize": _SSD,
    "PSROIPooling": _RFCN,
    "Permute": _SSD,
    "PriorBox": _SSD,
    "ROIPooling": _FASTER_RCNN,
    "Resample": _FLOWNET,
    "ShuffleChannel": _SHUFFLENET,
    "SmoothL1Loss": f"{_FASTER_RCNN} and {_SSD}",
    "SmoothL1LossOHEM": _RFCN,
    "Upsample": _SEGNET,
    "VideoData": _SSD,
}
"""Layer type → the fork that has it."""

FIELDS = {
    "annotated_data_param": _SSD,
    "bn_param": f"{_PSPNET} and {_SEGNET}",
    "box_annotator_ohem_param": _RFCN,
    "center_loss_param": _CENTERLOSS,
    "correlation_param": _FLOWNET,
    "dense_image_data_param": _SEGNET,
    "detectnet_groundtruth_param": _NVIDIA,
    "detection_evaluate_param": _SSD,
    "detection_output_param": _SSD,
    "interp_param": f"{_DEEPLAB} and {_PSPNET}",
    "multi_stage_meanfield_param": _CRF_RNN,
    "multibox_loss_param": _SSD,
    "norm_param": _SSD,
    "permute_param": _SSD,
    "prior_box_param": _SSD,
    "psroi_pooling_param": _RFCN,
    "resample_param": _FLOWNET,
    "roi_pooling_param": _FASTER_RCNN,
    "shuffle_channel_param": _SHUFFLENET,
    "smooth_l1_loss_param": f"{_FASTER_RCNN} and {_SSD}",
    "upsample_param": _SEGNET,
    "video_data_param": _SSD,
}
"""Field of a layer → the fork that has it."""
