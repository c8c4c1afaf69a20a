"""Fields that have another number in a fork's binary files than in caffe.proto, which has those of all forks."""

NUMBERS: dict[str, dict[str, dict[str, int]]] = {
    "ssd": {
        "LayerParameter": {
            "permute_param": 202,
            "norm_param": 206,
            "prior_box_param": 203,
            "detection_output_param": 204,
            "detection_evaluate_param": 205,
            "multibox_loss_param": 201,
            "annotated_data_param": 200,
            "video_data_param": 207,
        },
        "TransformationParameter": {
            "crop_h": 11,
            "crop_w": 12,
            "resize_param": 8,
            "noise_param": 9,
            "distort_param": 13,
            "expand_param": 14,
            "emit_constraint": 10,
        },
        "SolverParameter": {"eval_type": 41, "ap_version": 42, "show_per_class_result": 44, "plateau_winsize": 43},
        "SolverState": {"minimum_loss": 5, "iter_last_event": 6},
    },
    "refinedet": {
        "DetectionOutputParameter": {"objectness_score": 24},
        "MultiBoxLossParameter": {"objectness_score": 24},
    },
    "ssd-mobilenet": {
        "LayerParameter": {"relu6_param": 208, "prior_box_param": 203},
        "ConvolutionParameter": {"tf_pad": 19},
    },
    "faster-rcnn": {
        "LayerParameter": {"roi_pooling_param": 8266711, "smooth_l1_loss_param": 8266712},
        "DropoutParameter": {"scale_train": 2},
    },
    "r-fcn": {
        "LayerParameter": {"psroi_pooling_param": 10001, "box_annotator_ohem_param": 10000},
        "LossParameter": {"pre_fixed_normalizer": 4},
    },
    "ms-cnn": {
        "LayerParameter": {
            "roi_pooling_param": 147,
            "smooth_l1_loss_param": 148,
            "box_output_param": 151,
            "proposal_target_param": 152,
            "bbox_reg_param": 154,
            "decode_bbox_param": 155,
        },
    },
    "cascade-rcnn": {
        "LayerParameter": {
            "roi_pooling_param": 147,
            "psroi_pooling_param": 148,
            "smooth_l1_loss_param": 149,
            "bbox_reg_param": 150,
            "scale_route_param": 154,
            "decode_bbox_param": 155,
            "box_group_output_param": 158,
            "proposal_target_param": 159,
        },
    },
    "segnet": {
        "LayerParameter": {"bn_param": 45, "upsample_param": 137, "dense_image_data_param": 138},
        "LossParameter": {"weight_by_label_freqs": 3, "class_weighting": 4},
        "DropoutParameter": {"sample_weights_test": 2},
    },
    "enet": {
        "LayerParameter": {"bn_param": 45, "upsample_param": 147, "dense_image_data_param": 46},
        "LossParameter": {"normalization": 5, "weight_by_label_freqs": 3, "class_weighting": 4},
    },
    "pspnet": {
        "LayerParameter": {
            "bn_param": 152,
            "interp_param": 143,
            "bias_channel_param": 149,
            "adaptive_bias_channel_param": 148,
            "domain_transform_param": 147,
            "seg_accuracy_param": 144,
            "unique_label_param": 150,
            "dense_crf_param": 146,
            "mat_read_param": 151,
            "mat_write_param": 145,
        },
        "BNParameter": {"slope_filler": 1, "bias_filler": 2, "momentum": 3},
        "ImageDataParameter": {"ignore_label": 15, "label_type": 16},
        "TransformationParameter": {"scale_factors": 8, "crop_width": 9, "crop_height": 10},
        "BatchNormParameter": {"update_global_stats": 4},
    },
    "deeplab": {
        "LayerParameter": {
            "interp_param": 143,
            "bias_channel_param": 149,
            "adaptive_bias_channel_param": 148,
            "domain_transform_param": 147,
            "seg_accuracy_param": 144,
            "unique_label_param": 150,
            "dense_crf_param": 146,
        },
    },
    "deeplab-v2": {
        "LayerParameter": {
            "interp_param": 153,
            "bias_channel_param": 149,
            "adaptive_bias_channel_param": 148,
            "domain_transform_param": 147,
            "seg_accuracy_param": 154,
            "unique_label_param": 150,
            "dense_crf_param": 152,
        },
    },
    "deconvnet": {
        "LayerParameter": {"unpooling_param": 44, "bn_param": 45},
    },
    "shufflenet": {
        "LayerParameter": {"shuffle_channel_param": 164},
    },
    "center-loss": {
        "LayerParameter": {"center_loss_param": 147},
    },
    "sphereface": {
        "LayerParameter": {"margin_inner_product_param": 147},
    },
    "large-margin": {
        "LayerParameter": {"largemargin_inner_product_param": 202},
    },
    "caffe-windows": {
        "LayerParameter": {
            "normalize_param": 214,
            "triplet_loss_param": 203,
            "local_param": 201,
            "flip_param": 212,
            "label_specific_add_param": 241,
            "center_loss_param": 211,
            "focal_loss_param": 235,
            "permute_param": 224,
            "roi_pooling_param": 204,
            "psroi_pooling_param": 220,
            "proposal_param": 219,
            "bn_param": 200,
        },
        "FocalLossParameter": {"type": 1, "gamma": 2, "beta": 4},
        "InnerProductParameter": {"normalize": 7},
        "BNParameter": {"slope_filler": 1, "bias_filler": 2, "momentum": 3},
    },
    "focal-loss": {
        "LayerParameter": {"focal_loss_param": 147},
    },
    "flownet2": {
        "LayerParameter": {
            "correlation_param": 150,
            "flow_warp_param": 159,
            "resample_param": 155,
            "downsample_param": 156,
            "l1_loss_param": 151,
            "lpq_loss_param": 158,
            "accum_param": 160,
            "mean_param": 154,
            "augmentation_param": 149,
            "coeff_schedule_param": 148,
            "black_augmentation_param": 161,
            "writer_param": 152,
            "reader_param": 153,
            "reshape_every_iter": 157,
        },
    },
    "nvidia": {
        "BatchNormParameter": {"scale_filler": 5, "bias_filler": 6, "engine": 15, "scale_bias": 7},
        "LayerParameter": {"detectnet_groundtruth_param": 6801, "detectnet_augmentation_param": 6802},
        "ELUParameter": {"lambda": 2},
        "PoolingParameter": {"torch_pooling": 40},
        "DataParameter": {"threads": 11, "parser_threads": 12, "cache": 13, "shuffle": 14, "precache": 16},
        "LossParameter": {"label_smoothing": 4},
    },
    "yolov2": {
        "LayerParameter": {
            "reorg_param": 147,
            "region_loss_param": 202,
            "detection_output_param": 204,
            "detection_loss_param": 200,
            "eval_detection_param": 201,
        },
        "DetectionOutputParameter": {
            "side": 1,
            "num_classes": 2,
            "num_box": 3,
            "coords": 4,
            "confidence_threshold": 5,
            "nms_threshold": 6,
            "biases": 7,
            "label_map_file": 8,
        },
    },
    "yolo": {
        "LayerParameter": {"detection_loss_param": 200, "eval_detection_param": 201},
    },
    "mobilenet-yolo": {
        "LayerParameter": {
            "upsample_param": 150,
            "relu6_param": 211,
            "reorg_param": 149,
            "region_loss_param": 600,
            "yolo_detection_output_param": 601,
            "yolov3_detection_output_param": 602,
            "yolov3_param": 603,
            "yolo_seg_param": 604,
            "segmentation_evaluate_param": 605,
        },
    },
    "spatial-transformer": {
        "LayerParameter": {"st_param": 148},
    },
    "lstm": {
        "LayerParameter": {"lstm_param": 201},
    },
    "ctpn": {
        "LayerParameter": {"transpose_param": 142, "reverse_param": 143},
    },
    "deformable": {
        "LayerParameter": {"deformable_convolution_param": 999},
    },
}
"""Fork → message → field → its number there."""
