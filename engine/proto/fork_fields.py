"""Fields that forks of Caffe have added to its blocks and that caffe.proto lacks, so that errors can name the fork."""

from engine.proto import forks

FIELDS: dict[str, dict[str, str]] = {
    forks.AUGMENTATION: {
        "TransformationParameter": (
            "apply_probability contrast_brightness_adjustment debug_params max_brightness_shift max_color_shift "
            "max_contrast max_rotation_angle max_scaling_factor max_smooth min_contrast min_scaling_factor "
            "min_side min_side_max min_side_min smooth_filtering"
        ),
    },
    forks.C3D: {
        "ImageDataParameter": ("new_length num_truth_channels show_data truth_scale use_image use_temporal_jitter"),
        "PoolingParameter": "temporal_pad",
    },
    forks.CAFFE3D: {
        "TransformationParameter": "crop_size_h crop_size_l crop_size_w",
    },
    forks.CAFFEONSPARK: {
        "LayerParameter": "cos_data_param source_class",
        "MemoryDataParameter": "dataframe_column_select dataframe_format image_encoded share_in_parallel source",
    },
    forks.CASCADE: {
        "LayerParameter": (
            "detection_data_param detection_group_accuracy_param detection_group_loss_param eval_data_param "
            "frcnn_output_param hard_mining_param"
        ),
    },
    forks.HIGHER_ORDER_CRF: {
        "MultiStageMeanfieldParameter": (
            "detection_dat_check_enabled detection_dat_input_dir detection_potentials_enabled "
            "detection_potentials_epsilon detection_potentials_max_score detection_x_weights_str "
            "detection_y_weights_str ho_dat_input_dir ho_num_layers ho_potentials_enabled ho_w2_enabled "
            "ho_w2_param_str ho_w_param_str is_no_class_weights train_dataset_size"
        ),
    },
    forks.CTPN: {
        "BNParameter": "axis decay moving_average var_eps",
        "LayerParameter": "ctc_param",
    },
    forks.DECONVNET: {
        "LayerParameter": "eltwise_accuracy_param window_cls_data_param",
    },
    forks.DEEPDETECT: {
        "ConvolutionParameter": "cudnn_flavor",
        "DenseImageDataParameter": "one_hot_nclasses rotate",
        "DetectionEvaluateParameter": "output_logits",
        "DetectionOutputParameter": "output_logits",
        "DistortionParameter": "all_effects brightness contrast hue prob random_order saturation",
        "HDF5DataParameter": "image",
        "ImageDataParameter": "label_size",
        "InterpParameter": "mode",
        "NoiseParameter": "all_effects",
        "SoftmaxParameter": "scaling_temperature",
        "SolverParameter": (
            "adabelief amsgrad decoupled_wd_mult decoupled_wd_t0 gc lookahead lookahead_alpha lookahead_steps "
            "lr_dropout lr_mult p_mult period rectified"
        ),
        "TransformationParameter": "geometry_param rotate untransformed_top",
    },
    forks.DEEPLAB: {
        "ImageDataParameter": "has_label",
    },
    forks.DEEPLABCONTEXT: {
        "V1LayerParameter": "padding_param",
    },
    forks.FLOWNET: {
        "DataParameter": (
            "block_size disk_reader_threads encoding huge_video_dataset limit_samples permute_every_iter "
            "preselection_file preselection_label rand_permute rand_permute_order rand_permute_seed range_end "
            "range_start slice_point subtract verbose"
        ),
        "LayerParameter": "channel_norm_param",
    },
    forks.FOCALLOSS: {
        "ConvolutionParameter": "half_pad",
    },
    forks.DIVERSE: {
        "LayerParameter": "static_dropout_inner_product_param static_dropout_param",
    },
    forks.AUTOCOLORIZE: {
        "LayerParameter": (
            "extended_image_data_param sparse_histogram_extractor_param sparse_hypercolumn_extractor_param"
        ),
    },
    forks.HED: {
        "ImageDataParameter": "normalize",
    },
    forks.INTEL: {
        "BatchNormParameter": "fused_relu relu",
        "ConcatParameter": "per_fla_fuse",
        "ConvolutionParameter": "coeff conv_algorithm fusion_type negative_slope relu",
        "FillerParameter": "scale",
        "ImageDataParameter": "min_height min_width",
        "InnerProductParameter": "negative_slope relu",
        "LRNParameter": "unit_test_fuse_kernel unit_test_mode",
        "LayerParameter": (
            "affinity_param buffer device faster_rcnn_detection_output_param mergecrop_param "
            "mn_activation_param mn_grad_compress_param multinode simpler_nms_param spatial_dropout_param "
            "split_param"
        ),
        "MemoryDataParameter": "dim",
        "NetParameter": "compile_net_state multinode",
        "PoolingParameter": "avg_include_pad axis dilation kernel_size_3d pad_3d stride_3d",
        "ROIPoolingParameter": "pooled_size",
        "ReLUParameter": "fuse",
        "ReshapeParameter": "pixelshuffler",
        "SolverParameter": ("disabled_update local_gw_ratio local_lr_auto test_offset warmup_iter warmup_start_lr"),
        "TransformationParameter": "bgr2rgb flow pad",
        "V1LayerParameter": "affinity_param",
        "YoloDetectionOutputParameter": "save_file ssd_format visualize visualize_threshold",
    },
    forks.MMD: {
        "MMDParameter": "iter_of_epoch method method_param mmd_lambda num_of_kernel",
    },
    forks.XLEARN: {
        "LayerParameter": "outer_product_param",
    },
    forks.HEATMAPS: {
        "LayerParameter": "heatmap_data_param visualise visualise_channel",
    },
    forks.PICANET: {
        "LayerParameter": "att_pooling_param atten_param pw_attend_param",
    },
    forks.VIDEOCAFFE: {
        "ConvolutionParameter": "kernel_shape pad_shape stride_shape",
        "PoolingParameter": "kernel_shape pad_shape stride_shape",
    },
    forks.CAFFEMEX: {
        "LayerParameter": "normalization_param",
    },
    forks.MULTILABEL: {
        "LayerParameter": "multi_label_accuracy_param multi_label_loss_param multilabel_loss_param",
    },
    forks.LRCN: {
        "EltwiseParameter": "coeff_blob",
    },
    forks.NORMFACE: {
        "BatchNormParameter": "disable_mean disable_variance",
        "ChannelScaleParameter": "global_scale init_global_scale max_global_scale min_global_scale",
        "ConvolutionParameter": "shape_offset",
        "DropoutParameter": "sqrt_scale",
        "FillerParameter": "alpha",
        "ImageDataParameter": (
            "balance_by balance_class face_mirror face_point_num face_transform label_cut_end label_cut_start "
            "max_aspect_ratio max_random_scale max_random_shift max_rotate_angle max_shear_ratio min_random_scale"
        ),
        "LayerParameter": (
            "batch_contrastive_loss_param confidence_penalty_loss_param eltwise_affine_param "
            "fcn_data_param feature_decay_loss_param "
            "hotspot_param infimum_loss_param label_specific_affine_param "
            "label_specific_hard_margin_param label_specific_margin_param label_specific_rescale_param "
            "mil_data_param mil_param nca_param ordinal_regression_loss_param pairwise_param "
            "predict_box_param smoothl1_param soft_contrastive_loss_param soft_truncation_param "
            "sub_region_param truncation_param"
        ),
        "MemoryDataParameter": "transpose",
        "NoiseParameter": "bias gaussian_std uniform_range",
        "NormalizeParameter": "bp_norm fix_gradient normalize_type",
        "PoolingParameter": "blobs_a_min blobs_lr",
        "ResizeParameter": "is_pyramid_test out_height_scale out_width_scale",
        "SoftmaxParameter": ("class_weight cutting_point hard_mining_label hard_ratio label_smooth_factor"),
        "SolverParameter": "clamp_weights_lower clamp_weights_upper clip_weights",
        "TransformationParameter": "aspect_max aspect_min center_crop erase_ratio scale_max scale_min",
        "V1LayerParameter": (
            "eltwise_affine_param insanity_param local_param noise_param prelu_param roi_pooling_param "
            "sub_region_param triplet_loss_param"
        ),
    },
    forks.NVIDIA: {
        "ConvolutionParameter": "conv_algos_override cudnn_convolution_algo_seeker",
        "DetectNetAugmentationParameter": ("distort_param emit_constraint expand_param noise_param resize_param"),
        "DropoutParameter": "engine random_seed",
        "ImageDataParameter": "cache dataset_share_per_node precache short_side threads",
        "LayerParameter": "cudnn_math_override debug trt_param",
        "NetParameter": "default_cudnn_math_override global_grad_scale_adaptive",
        "SolverParameter": (
            "larc larc_eta larc_policy larc_turbo max_momentum max_weight_decay min_lr momentum_policy "
            "momentum_power rampup_interval rampup_lr solver_data_type store_blobs_in_old_format "
            "test_and_snapshot_last_epochs weight_decay_policy weight_decay_power"
        ),
        "TransformationParameter": (
            "display num_labels rand_abs_ar_lower rand_abs_ar_upper rand_rel_ar_lower rand_rel_ar_upper"
        ),
    },
    forks.OPENPOSE: {
        "LayerParameter": "cpm_transform_param imresize_param nms_param",
    },
    forks.OPENVINO: {
        "CropParameter": "dimsize",
        "DetectionOutputParameter": "input_height input_width normalized",
        "LayerParameter": (
            "channel_permutation_param cosine_similarity_batch_param grn_param region_yolo_param reorg_yolo_param "
            "rss_loss_param"
        ),
        "NetParameter": "profile_info profile_iter profile_warmup",
        "ReLU6Parameter": "n",
        "SpatialTransformerParameter": "de_transform",
    },
    forks.RPN: {
        "LayerParameter": "cu_pooling_param ",
    },
    forks.RRPN: {
        "LayerParameter": "rotate_roi_pooling_param",
    },
    forks.SKELETON: {
        "LayerParameter": "rescale_param",
    },
    forks.SPATIAL_TRANSFORMER: {
        "FillerParameter": "file",
        "LayerParameter": "loc_loss_param power_file_param st_loss_param",
    },
    forks.SYNOPSYS: {
        "ArgMaxParameter": "min_first",
        "BNParameter": "icnet",
        "BatchNormParameter": "add_eps_before_sqrt icnet",
        "BiasParameter": (
            "bias_scale bias_zero_point input_scale input_zero_point output_scale output_zero_point "
            "quantize_method saturate"
        ),
        "ConcatParameter": ("input_scale input_zero_point output_scale output_zero_point quantize_method saturate"),
        "ConvolutionParameter": (
            "dis_mode gen_mode input_scale input_zero_point output_scale output_zero_point "
            "pad_type per_channel_scale_output per_channel_scale_weight quantize_method saturate "
            "submanifold_sparse weight_fixed weight_scale weight_zero_point"
        ),
        "DataParameter": "random",
        "DetectionOutputParameter": (
            "arm_conf_no_concat arm_loc_no_concat max_classes_per_detection nbottom no_permute ratio0 ratio1 "
            "ratio2 ratio3 ratio4 ratio5 ratio_permute scale_xywh tflite_detection tflite_use_regular_nms"
        ),
        "DistortionParameter": "exposure_lower exposure_upper",
        "EltwiseParameter": (
            "axis input_scale input_zero_point output_scale output_zero_point quantize_method saturate"
        ),
        "InnerProductParameter": (
            "dis_mode gen_mode input_scale input_zero_point output_scale output_zero_point quantize_method "
            "saturate weight_fixed weight_scale weight_zero_point"
        ),
        "InputParameter": "output_scale output_zero_point",
        "InterpParameter": "full_zoom_factor",
        "LRNParameter": "input_scale output_scale",
        "LayerParameter": (
            "attention_param batch_to_space_nd_param broadcast_to_param corr1d_param count_nonzero_param "
            "crop_and_resize_param depth_to_space_param embedding_lookup_param embedding_lookup_sparse_param "
            "expand_dims_nd_param gan_loss_param gather_nd_param gather_param gather_v2_param gemm_param "
            "hard_sigmoid_param layer_norm_param log_softmax_param lp_normalization_param "
            "maskrcnn_detection_param maskrcnn_proposal_param matmul_param mirror_pad_param "
            "nms_gather_param nms_param non_max_suppression_param not_equal_param one_hot_param pad_param "
            "piece_param point_net_param pyramid_roi_align_param range_param reduce_all_param reduce_any_param "
            "reduce_l1_param reduce_l2_param reduce_logsumexp_param reduce_max_param reduce_mean_param "
            "reduce_min_param reduce_prod_param reduce_sum_param resize_bilinear_param "
            "reverse_sequence_param rnn_v2_param roi_align_param scaled_tanh_param "
            "scatter_nd_param space_to_batch_nd_param space_to_depth_param sparse_to_dense_param "
            "spatial_batching_pooling_param squeeze_convolution_param squeeze_inner_product_param "
            "stack_param strided_slice_param tensor2box_param thresholded_relu_param tile_nd_param "
            "topk_gather_param unstack_param upsample_darknet_param where4_gathernd_crop_param "
            "where4_gathernd_param where4_param xlu_param yolo_v2_loss_param yolo_v3_loss_param"
        ),
        "MVNParameter": "add_eps_before_sqrt",
        "NormalizeParameter": "add_eps_before_sqrt",
        "PoolingParameter": (
            "input_scale input_zero_point output_scale output_shift_instead_division output_zero_point "
            "pad_type quantize_method saturate"
        ),
        "PowerParameter": "quantize_method saturate",
        "PriorBoxParameter": "box_height box_width faceboxes keras tf yx_order",
        "ProposalParameter": ("anchor_base_size anchor_ratio anchor_scale max_rois rpn_min_size rpn_nms_thresh"),
        "ReLUParameter": ("input_scale input_zero_point maximum minimum output_scale output_zero_point saturate"),
        "RecurrentParameter": (
            "activation_alpha activation_beta activations continue_recur default_initial direction "
            "linear_before_reset tf_rnn"
        ),
        "ResizeParameter": "jitter",
        "ScaleParameter": "dis_mode gen_mode",
        "SigmoidParameter": "input_scale input_zero_point output_scale output_zero_point saturate",
        "SmoothL1LossParameter": "abssum",
        "SoftmaxParameter": "input_scale input_zero_point output_scale output_zero_point saturate",
        "SolverParameter": "gan_solver",
        "TransformationParameter": "caffe_yolo",
        "V1LayerParameter": "yolo_v2_loss_param yolo_v3_loss_param",
    },
    forks.TEXTBOXES: {
        "DetectionEvaluateParameter": "use_polygon",
        "MultiBoxLossParameter": "use_polygon",
    },
    forks.TSN: {
        "ConvolutionParameter": "dilation_h dilation_w",
        "LayerParameter": "batch_reduction_param seg_data_param",
        "ReductionParameter": "k",
        "SolverParameter": "group_id",
        "TransformationParameter": ("original_image stride upper_height upper_size upper_width"),
        "VideoDataParameter": "crop_size encoded mean_file mirror scale",
    },
    forks.YOLO: {
        "AnnotatedDataParameter": ("difficult_label_warmup seg_resize_height seg_resize_width seg_scales single_class"),
        "LayerParameter": "region_param",
        "TransformationParameter": "cvt_bgr2rgb enable_classf_aug",
        "V1LayerParameter": "relu6_param",
    },
    forks.YOLOV1: {
        "DataParameter": "side",
        "SolverParameter": "stageiter stagelr",
        "V1LayerParameter": "detection_loss_param eval_detection_param",
    },
}
"""Fork → message of caffe.proto → the fork's further fields in it, separated by blanks."""

_OWNERS = {
    (message, field): fork
    for fork, messages in FIELDS.items()
    for message, names in messages.items()
    for field in names.split()
}
_FORMS = {"LayerParameter": "V1LayerParameter", "V1LayerParameter": "LayerParameter"}


def owner(message: str, field: str) -> str | None:
    """The fork that has the field in this message, or in the other form of a layer; None if no fork is known to."""
    return _OWNERS.get((message, field)) or _OWNERS.get((_FORMS.get(message, ""), field))
