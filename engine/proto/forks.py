"""Layers of well-known forks of Caffe that BVLC Caffe 1.0 lacks, so that errors can name the fork."""

SSD = "SSD (weiliu89/caffe)"
FASTER_RCNN = "Faster R-CNN (rbgirshick/caffe-fast-rcnn)"
RFCN = "R-FCN (daijifeng001/caffe-rfcn)"
SEGNET = "SegNet (alexgkendall/caffe-segnet)"
PSPNET = "PSPNet (hszhao/PSPNet)"
DEEPLAB = "DeepLab (cdmh/deeplab-public)"
CRF_RNN = "CRF-RNN (torrvision/crfasrnn)"
HIGHER_ORDER_CRF = "CRFs with higher-order potentials (torrvision/caffe-tvg)"
FLOWNET = "FlowNet (lmb-freiburg/flownet2)"
SENET = "SENet (hujie-frank/SENet)"
NVIDIA = "NVIDIA's Caffe (NVIDIA/caffe)"
INTEL = "Intel's Caffe (intel/caffe)"
YOLO = "MobileNet-YOLO (eric612/MobileNet-YOLO)"
SHUFFLENET = "ShuffleNet (farmingyard/ShuffleNet)"
CENTERLOSS = "center loss (ydwen/caffe-face)"
SPHEREFACE = "SphereFace (wy1iu/sphereface)"
CAFFE3D = "3D-Caffe (yulequan/3D-Caffe)"
C3D = "C3D (facebookarchive/C3D)"
TSN = "temporal segment networks (yjxiong/caffe)"
DEFORMABLE = "deformable convolution (unsky/Deformable-ConvNets-caffe)"
SPATIAL_TRANSFORMER = "spatial transformers (daerduoCarey/SpatialTransformerLayer)"
MSCNN = "MS-CNN (zhaoweicai/mscnn)"
CASCADE = "Cascade R-CNN (zhaoweicai/cascade-rcnn)"
FRCNN = "Faster R-CNN in C++ (D-X-Y/caffe-faster-rcnn)"
RPN = "Faster R-CNN in C++ (xyfer17/faster-rcnn-caffe)"
LRCN = "LRCN (LisaAnne/lisa-caffe-public)"
MNC = "MNC (daijifeng001/caffe-mnc)"
NORMFACE = "NormFace (happynear/caffe-windows)"
YOLOV1 = "YOLO (yeahkun/caffe-yolo)"
YOLOV2 = "YOLOv2 (gklz1982/caffe-yolov2)"
DECONVNET = "DeconvNet (HyeonwooNoh/caffe)"
DEPTHWISE = "DepthwiseConvolution (yonghenglh6/DepthwiseConvolution)"
FARMINGYARD = "MobileNet (farmingyard/caffe-mobilenet)"
RISTRETTO = "Ristretto (pmgysel/caffe)"
OPENPOSE = "OpenPose (CMU-Perceptual-Computing-Lab/caffe_rtpose)"
LSTM = "an LSTM older than Caffe's (junhyukoh/caffe-lstm); Caffe's is LSTM"
CAFFEONSPARK = "CaffeOnSpark (yahoo/CaffeOnSpark)"
AUGMENTATION = "caffe-augmentation (twtygqyy/caffe-augmentation)"
CTPN = "CTPN (tianzhi0549/CTPN)"
DEEPDETECT = "DeepDetect (jolibrain/caffe)"
DEEPLABCONTEXT = "DeepLab (TheLegendAli/DeepLab-Context)"
FOCALLOSS = "focal loss (chuanqi305/FocalLoss)"
HED = "HED (s9xie/hed)"
LARGEMARGIN = "large-margin softmax (wy1iu/LargeMargin_Softmax_Loss)"
GENET = "GENet (hujie-frank/GENet) and others"
LITEFLOWNET = "LiteFlowNet (twhui/LiteFlowNet)"
OPENVINO = "OpenVINO's models (opencv/open_model_zoo)"
REFINEDET = "RefineDet (sfzhang15/RefineDet)"
RETRIEVAL = "image retrieval (yuminsuh/caffe_retrieval)"
RRPN = "RRPN (mjq11302010031/RRPN)"
SKELETON = "DeepSkeleton (zeakey/DeepSkeleton)"
SYNOPSYS = "Synopsys' Caffe (foss-for-synopsys-dwc-arc-processors/synopsys-caffe)"
CAFFEMEX = "CaffeMex (liuyuisanai/CaffeMex_v2)"
DEEPMETRIC = "deep metric learning (rksltnl/Deep-Metric-Learning-CVPR16)"
AUTOCOLORIZE = "autocolorize (gustavla/autocolorize)"
DIVERSE = "diverse dropout (joelthchao/diverse-dropout)"
TEXTBOXES = "TextBoxes++ (MhLiao/TextBoxes_plusplus)"
WEIGHTEDSOFTMAX = "weighted softmax losses (shicai/Weighted_Softmax_Loss and others)"
WARPCTC = "warp-ctc in Caffe (xmfbit/warpctc-caffe)"
CONVLSTM = "convolutional LSTMs (agethen/ConvLSTM-for-Caffe)"
DENOISING = "DeepDenoising (Ding-Liu/DeepDenoising)"
MULTILABEL = "multi-label learning (kevinlin311tw/caffe-multilabel)"
EDGES = "semantic edges (yun-liu/DDS)"
HASHING = "hashing (thuml/HashNet)"
HEATMAPS = "heat maps of joints (tpfister/caffe-heatmap)"
PICANET = "PiCANet (nian-liu/PiCANet)"
QUANTIZED = "HWGQ (zhaoweicai/hwgq)"
RAM = "RAM (liu-xb/RAM)"
VIDEOCAFFE = "video-caffe (wss321/video-caffe)"
DANN = "unsupervised domain adaptation (ddtm/caffe)"
LATENT = "latent domains (mancinimassimiliano/latent_domains_DA)"
MMD = "maximum mean discrepancy (zhuhan1236/mmd-caffe)"
XLEARN = "transfer learning (thuml/Xlearn)"
CAFFEOCR = "caffe_ocr (senlinuc/caffe_ocr)"

TYPES = {
    "Accum": FLOWNET,
    "AdaptiveBiasChannel": DEEPLAB,
    "Affinity": INTEL,
    "AnnotatedData": f"{SSD}, {INTEL} and {NVIDIA}",
    "Arccos": NORMFACE,
    "ArmMultiBoxLoss": REFINEDET,
    "AssistedExcitation": YOLO,
    "Axpy": SENET,
    "BalancedSoftmaxWithLoss": CAFFEMEX,
    "BatchContrastiveLoss": NORMFACE,
    "BatchPool": CAFFEMEX,
    "BatchReduction": TSN,
    "BboxAccuracy": CASCADE,
    "BgrToHsv": AUTOCOLORIZE,
    "BgrToLab": AUTOCOLORIZE,
    "BgrToMunsell": AUTOCOLORIZE,
    "BiasChannel": DEEPLAB,
    "BlackAugmentation": FLOWNET,
    "BlackHole": C3D,
    "BN": f"{PSPNET} and {SEGNET}",
    "BNData": CAFFEMEX,
    "BoxAnnotatorOHEM": RFCN,
    "BoxData": YOLOV2,
    "BoxGroupOutput": CASCADE,
    "BoxOutput": MSCNN,
    "BroadcastMul": DEEPDETECT,
    "BSCELoss": CAFFEMEX,
    "BSMLoss": CAFFEMEX,
    "CenterLoss": CENTERLOSS,
    "ChannelNorm": FLOWNET,
    "ChannelScale": NORMFACE,
    "CompactBilinear": RETRIEVAL,
    "ConfidencePenaltyLoss": NORMFACE,
    "ConnectedComponent": INTEL,
    "ContinuationIndicator": f"{WARPCTC} and {DEEPDETECT}",
    "ConvLSTM": CONVLSTM,
    "Convolution3D": C3D,
    "ConvolutionDepthwise": FARMINGYARD,
    "ConvolutionRistretto": RISTRETTO,
    "Correlation": FLOWNET,
    "Correlation1D": FLOWNET,
    "CorrelationLoss": NORMFACE,
    "CoSData": CAFFEONSPARK,
    "Cosine": NORMFACE,
    "CPMData": OPENPOSE,
    "CrossEntropyLoss": DEEPDETECT,
    "CTCGreedyDecoder": TEXTBOXES,
    "CtcLoss": f"{WARPCTC} and {DEEPDETECT}",
    "CTCLoss": TEXTBOXES,
    "CuDNNBatchNorm": GENET,
    "CustomData": FLOWNET,
    "CustomPooling": RPN,
    "DataAugmentation": FLOWNET,
    "DecodeBBox": f"{CASCADE} and {MSCNN}",
    "Deconvolution3D": C3D,
    "DeconvolutionRistretto": YOLOV2,
    "DeformableConvolution": DEFORMABLE,
    "DenseBlock": f"{CAFFEOCR} and others",
    "DenseCRF": DEEPLAB,
    "DenseImageData": SEGNET,
    "DepthwiseConvolution": DEPTHWISE,
    "DetectionAccuracy": MSCNN,
    "DetectionData": CASCADE,
    "DetectionEvaluate": SSD,
    "DetectionGroupAccuracy": CASCADE,
    "DetectionGroupLoss": CASCADE,
    "DetectionLoss": f"{YOLOV1} and {MSCNN}",
    "DetectionOutput": SSD,
    "DetectNetTransformation": NVIDIA,
    "DiceCoefLoss": DEEPDETECT,
    "DisparityData": FLOWNET,
    "DivergenceLoss": CAFFEMEX,
    "DomainTransform": DEEPLAB,
    "DomainTransformForwardOnly": PSPNET,
    "Downsample": FLOWNET,
    "EntropyLoss": f"{XLEARN}, {LATENT} and others",
    "EvalData": CASCADE,
    "EvalDetection": f"{YOLOV1} and {YOLOV2}",
    "ExpMax": LITEFLOWNET,
    "ExtendedImageData": AUTOCOLORIZE,
    "FasterRcnnDetectionOutput": INTEL,
    "FCNAccuracy": NORMFACE,
    "FcRistretto": YOLOV2,
    "Flip": NORMFACE,
    "FloatReader": FLOWNET,
    "FloatWriter": FLOWNET,
    "FlowAugmentation": FLOWNET,
    "FLOWriter": FLOWNET,
    "FlowWarp": FLOWNET,
    "FocalLoss": FOCALLOSS,
    "FrcnnAnchorTarget": FRCNN,
    "FrcnnOutput": CASCADE,
    "FrcnnProposal": FRCNN,
    "FrcnnProposalTarget": FRCNN,
    "FrcnnRoiData": FRCNN,
    "Gate": CAFFEMEX,
    "Gather": PSPNET,
    "GaussianNoise": CAFFEMEX,
    "GaussianSample": CAFFEMEX,
    "GaussianYolov3": YOLO,
    "GeneralContrastiveLoss": NORMFACE,
    "GeneralTripletLoss": NORMFACE,
    "GenerateAugmentationParameters": FLOWNET,
    "GlobalLSEMargin": NORMFACE,
    "GradientScaler": f"{DANN} and {XLEARN}",
    "Gram": NORMFACE,
    "Grid": LITEFLOWNET,
    "HardMining": CASCADE,
    "Hotspot": NORMFACE,
    "ImageGtData": MSCNN,
    "ImageDataMultiLabel": "the fork of rohitgirdhar-cmu-experimental/caffe-3dobjdet-scripts",
    "ImageLabelmapData": HED,
    "ImageSegData": DEEPLAB,
    "ImgReader": FLOWNET,
    "ImgWriter": FLOWNET,
    "ImResize": OPENPOSE,
    "InnerDistance": NORMFACE,
    "Insanity": NORMFACE,
    "Interp": f"{DEEPLAB} and {PSPNET}",
    "JMMDLoss": XLEARN,
    "L1Loss": f"{FLOWNET} and {NVIDIA}",
    "L2Norm": RETRIEVAL,
    "L2Normalize": RETRIEVAL,
    "LabelData": "forks of their own (StevenHickson/caffe and others)",
    "LabelsequenceAccuracy": f"{WARPCTC} and {DEEPDETECT}",
    "LabelSpecificAdd": NORMFACE,
    "LabelSpecificRescale": NORMFACE,
    "LaneData": YOLO,
    "LargeMarginInnerProduct": LARGEMARGIN,
    "LiftedStructSimilaritySoftmaxLoss": DEEPMETRIC,
    "Local": NORMFACE,
    "LocLoss": SPATIAL_TRANSFORMER,
    "LpqLoss": FLOWNET,
    "LRNRistretto": YOLOV2,
    "Lstm": LSTM,
    "MalisLoss": INTEL,
    "MarginInnerProduct": SPHEREFACE,
    "MaskPooling": MNC,
    "MaskResize": MNC,
    "MatRead": DEEPLAB,
    "MatWrite": DEEPLAB,
    "Maximum": OPENPOSE,
    "Mean": FLOWNET,
    "MemorySparseData": DEEPDETECT,
    "MergeCrop": INTEL,
    "Mish": YOLO,
    "MKLBatchNorm": INTEL,
    "MMDLoss": f"{XLEARN} and {MMD}",
    "MnActivation": INTEL,
    "MovingNormalize": NORMFACE,
    "MultiBoxFocalLoss": DEEPDETECT,
    "MultiBoxLoss": SSD,
    "MultiLabelAccuracy": f"{MULTILABEL} and {DEEPDETECT}",
    "MultiLabelImageData": NORMFACE,
    "MultilabelImageData": "DRML (zkl20061823/DRML)",
    "MultiLabelLoss": f"{MULTILABEL} and {EDGES}",
    "MultiLabelSigmoidLoss": DEEPDETECT,
    "MultiStageMeanfield": CRF_RNN,
    "NCALoss": NORMFACE,
    "NDConvolution": C3D,
    "NDPooling": C3D,
    "NegReLU": FLOWNET,
    "NegSquare": LITEFLOWNET,
    "Nms": OPENPOSE,
    "Noise": f"{NORMFACE} and {DENOISING}",
    "Normalization": f"{CAFFEMEX} and {RETRIEVAL}",
    "NormalizationL2": RAM,
    "Normalize": SSD,
    "OdmMultiBoxLoss": REFINEDET,
    "OnlineTripletLoss": RETRIEVAL,
    "OuterProduct": XLEARN,
    "Padding": f"{DEEPLABCONTEXT} and {DENOISING}",
    "PairFastLoss": RETRIEVAL,
    "Pairwise": NORMFACE,
    "Permute": SSD,
    "PFMWriter": FLOWNET,
    "PointPooling": CAFFEMEX,
    "Pooling3D": C3D,
    "PoolingND": CAFFE3D,
    "PowerFile": SPATIAL_TRANSFORMER,
    "PredictBox": NORMFACE,
    "PriorBox": SSD,
    "PriorBoxClustered": OPENVINO,
    "Proposal": NORMFACE,
    "ProposalTarget": CASCADE,
    "PSROIPooling": RFCN,
    "PSROIRegionPooling": CAFFEMEX,
    "Quantize": SKELETON,
    "Region": YOLO,
    "RegionLoss": YOLO,
    "RegionPooling": CAFFEMEX,
    "ReLU6": f"{SSD} and {YOLO}",
    "Reorg": f"{YOLOV2} and {YOLO}",
    "Resample": FLOWNET,
    "Rescale": SKELETON,
    "Resize": NORMFACE,
    "Reverse": CTPN,
    "ReverseTime": CAFFEOCR,
    "ROIAlign": f"{CASCADE} and other R-CNNs",
    "ROIPooling": FASTER_RCNN,
    "ROIWarping": MNC,
    "RotateROIPooling": RRPN,
    "RPN": RPN,
    "ScaleRoute": CASCADE,
    "Scatter": TSN,
    "SegAccuracy": DEEPLAB,
    "SegData": TSN,
    "SegmentationEvaluate": YOLO,
    "SeLu": DEEPDETECT,
    "SeLuDropout": DEEPDETECT,
    "ShuffleChannel": SHUFFLENET,
    "SigmoidCrossEntropyLossWeighted": CAFFEMEX,
    "SignedSqrt": RETRIEVAL,
    "SimplerNMS": INTEL,
    "Slope": NORMFACE,
    "SmoothL1Loss": f"{FASTER_RCNN} and {SSD}",
    "SmoothL1LossOHEM": RFCN,
    "SoftContrastiveLoss": NORMFACE,
    "SoftmaxInhibitionLoss": CAFFEMEX,
    "SoftmaxKLDLoss": AUTOCOLORIZE,
    "SoftmaxWithInfogainLoss": DEEPDETECT,
    "SoftmaxWithLossMultiLabel": CAFFEOCR,
    "SoftTruncation": NORMFACE,
    "SparseData": DEEPDETECT,
    "SparseHistogramExtractor": AUTOCOLORIZE,
    "SparseHypercolumnExtractor": AUTOCOLORIZE,
    "SparseInnerProduct": DEEPDETECT,
    "SpatialDropout": INTEL,
    "SpatialProduct": PSPNET,
    "SpatialTransformer": SPATIAL_TRANSFORMER,
    "SpatialTransformerLoss": SPATIAL_TRANSFORMER,
    "StaticDropout": DIVERSE,
    "StaticDropoutInnerProduct": DIVERSE,
    "STLoss": SPATIAL_TRANSFORMER,
    "StripDecimals": AUTOCOLORIZE,
    "SubRegion": NORMFACE,
    "Switch": OPENPOSE,
    "SyncBN": TSN,
    "Transformer": NORMFACE,
    "Transpose": CTPN,
    "TripletLoss": NORMFACE,
    "TensorTranspose": VIDEOCAFFE,
    "TRT": NVIDIA,
    "Truncation": NORMFACE,
    "UniformToHistogram": AUTOCOLORIZE,
    "UniqueLabel": DEEPLAB,
    "Unpooling": DECONVNET,
    "Upsample": f"{SEGNET} and {YOLO}",
    "VideoData": f"{SSD}, {C3D} and {TSN}",
    "Warp": LITEFLOWNET,
    "WarpCTCLoss": CAFFEOCR,
    "WeightedSoftmaxWithLoss": WEIGHTEDSOFTMAX,
    "YoloDetectionOutput": YOLO,
    "YoloSeg": YOLO,
    "Yolov3": YOLO,
    "Yolov3DetectionOutput": YOLO,
    **dict.fromkeys(("AttConvolution", "AttPooling", "PwAttend"), PICANET),
    **dict.fromkeys(("BinaryConvolution", "BinaryInnerProduct", "Quant"), QUANTIZED),
    **dict.fromkeys(("DataHeatmap", "EuclideanLossHeatmap"), HEATMAPS),
    **dict.fromkeys(("NdConvolution", "NdPooling"), VIDEOCAFFE),
    **dict.fromkeys(("PairwiseLoss", "ScaleTanH"), HASHING),
    **dict.fromkeys(("Sum", "WeightedEuclideanLoss"), "forks of their own (zobot/caffe and others)"),
    **dict.fromkeys(
        (
            *("Add", "Atan", "Attention", "BEGANLoss", "BatchToSpaceND", "BroadcastTo", "Ceil", "Corr1d"),
            *("CountNonzero", "CropAndResize", "DepthToSpace", "Div", "EmbeddingLookup"),
            *("EmbeddingLookupSparse", "ExpandDimsND", "FarthestPointSample", "Floor", "FloorDiv"),
            *("FloorMod", "GANLoss", "GRU", "GatherND", "GatherV2", "Gemm", "GroupPoint", "HardSigmoid"),
            *("HardSwish", "HardTanH", "ICNetSubgraph", "LSTMV2", "LayerNorm", "LogSoftmax"),
            *("LpNormalization", "LuongAttention", "MaskRCNNDetection", "MaskRCNNProposal", "MatMul"),
            *("Minimum", "MirrorPad", "Mul", "NMS", "NMSGather", "NonMaxSuppression", "NotEqual", "OneHot"),
            *("Pad", "PeepholeLSTM", "Piece", "Pow", "PyramidROIAlign", "QueryBallPoint", "RNNv2", "Range"),
            *("ReduceAll", "ReduceAny", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax"),
            *("ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ResizeBilinear"),
            *("ResizeNearestNeighbor", "ReverseSequence", "Round", "SSDDecoder", "SSDSort", "ScaledTanH"),
            *("ScatterND", "SeLU", "SeLUDropout", "Shape", "SimpleRNN", "Sin", "Softplus", "Softsign"),
            *("SpaceToBatchND", "SpaceToDepth", "SparseToDense", "SpatialBatchingPooling", "Squeeze"),
            *("SqueezeConvolution", "SqueezeDeconvolution", "SqueezeInnerProduct", "Stack", "StridedSlice"),
            *("Sub", "Tensor2Box", "ThreeInterpolate", "ThreeNN", "ThresholdedReLU", "TileND"),
            *("TopkGather", "Unstack", "UpsampleDarknet", "Where4", "Where4Gathernd", "Where4GatherndCrop"),
            *("XLU", "YoloV2Loss", "YoloV3Loss"),
        ),
        SYNOPSYS,
    ),
}
"""Layer type → the fork that has it."""

V1_TYPES = {
    "BATCH_NORM": NORMFACE,
    "DICE_LOSS": DEEPDETECT,
    "ELTWISE_ACCURACY": DECONVNET,
    "ELTWISE_AFFINE": NORMFACE,
    "INSANITY": NORMFACE,
    "LOCAL": NORMFACE,
    "NORMALIZE": NORMFACE,
    "PADDING": DEEPLABCONTEXT,
    "RELU6": YOLO,
    "ROIPOOLING": NORMFACE,
    "SELECT_SEG_BINARY": DECONVNET,
    "SELU": DEEPDETECT,
    "SELU_DROPOUT": DEEPDETECT,
    "TRIPLET_LOSS": NORMFACE,
    "VIDEO_DATA": C3D,
    "VIDEO_SEGMENTATION_DATA": C3D,
    "VIDEO_WITH_VOXEL_TRUTH_DATA": C3D,
    "VOXEL_SOFTMAX": C3D,
    "VOXEL_SOFTMAX_LOSS": C3D,
    "WINDOW_SEG_DATA": DECONVNET,
}
"""Layer type in the form of 2014 (V1) → the fork that has it."""

VALUES = {"DEF": NORMFACE, "LOWRES": NORMFACE}
"""Value of an enum, such as a method of pooling → the fork that has it."""
