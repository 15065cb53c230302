"""List what a .cfg file of DarkNet or of AlexeyAB's fork can say; most of it is about training."""

from __future__ import annotations

ACTIVATIONS = tuple(
    "linear leaky relu logistic elu selu tanh hardtan ramp relie plse lhtan loggy stair "
    "mish swish hard_mish relu6 gelu revleaky normalize_channels "
    "normalize_channels_softmax normalize_channels_softmax_maxval".split()
)

#: Keys that any layer may have; none changes a shape.
ANYWHERE = tuple(
    "truth onlyforward stopbackward dontsave dontload numload dontloadscales learning_rate "
    "smooth clip dont_update burnin_update train_only_bn "
    "show_receptive_field stream wait_stream".split()
)

_BOXES = (
    "classes num mask anchors map max jitter resize ignore_thresh truth_thresh random max_delta "
    "counters_per_class label_smooth_eps scale_x_y "
)
_LOSSES = (
    "objectness_smooth iou_normalizer obj_normalizer cls_normalizer delta_normalizer iou_loss "
    "iou_thresh iou_thresh_kind beta_nms nms_kind "
)
_SCALES = "coord_scale object_scale noobject_scale class_scale "

_KEYS = {
    "net": "batch subdivisions time_steps height width channels inputs learning_rate momentum "
    "decay notruth random adam B1 B2 eps max_crop "
    "min_crop max_ratio min_ratio center clip angle aspect saturation exposure hue policy "
    "burn_in power step scale steps scales "
    "seq_scales gamma max_batches learning_rate_min sgdr_cycle sgdr_mult track "
    "augment_speed sequential_subdivisions try_fix_nan "
    "weights_reject_freq equidistant_point badlabels_rejection_percentage "
    "num_sigmas_reject_badlabels ema_alpha use_cuda_graph loss_scale "
    "dynamic_minibatch optimized_memory workspace_size_limit_MB flip blur gaussian_noise "
    "mixup cutmix mosaic mosaic_bound letter_box "
    "contrastive contrastive_jit_flip contrastive_color unsupervised label_smooth_eps "
    "resize_step attention adversarial_lr max_chart_loss "
    "seen show_receptive_field",
    "convolutional": "filters size stride stride_x stride_y pad padding groups dilation activation "
    "batch_normalize cbn share_index antialiasing "
    "binary xnor flipped dot bin_output sway rotate stretch stretch_sway angle grad_centr reverse "
    "coordconv assisted_excitation",
    "connected": "output activation batch_normalize",
    "maxpool": "size stride stride_x stride_y padding maxpool_depth out_channels antialiasing "
    "maxpool_zero_nonmax",
    "local_avgpool": "size stride stride_x stride_y padding",
    "avgpool": "",
    "route": "layers groups group_id",
    "shortcut": "from activation alpha beta weights_type weights_normalization",
    "upsample": "stride scale",
    "reorg": "stride reverse flatten extra",
    "empty": "",
    "yolo": _BOXES
    + _LOSSES
    + "focal_loss new_coords show_details track_history_size sim_thresh dets_for_track "
    "dets_for_show track_ciou_norm embedding_layer",
    "gaussian_yolo": _BOXES + _LOSSES + "uc_normalizer yolo_point",
    "region": "coords classes num log sqrt softmax background max jitter rescore thresh classfix "
    "absolute random mask_scale bias_match tree map "
    "anchors focal_loss resize " + _SCALES,
    "detection": "coords classes rescore num side softmax sqrt max forced jitter random "
    "reorg resize " + _SCALES,
    "softmax": "groups temperature tree spatial noloss",
    "dropout": "probability dropblock dropblock_size_rel dropblock_size_abs",
    "batchnorm": "",
    "activation": "activation",
    "logistic": "",
    "l2norm": "",
    "normalization": "alpha beta kappa size",
    "crop": "crop_height crop_width flip angle saturation exposure shift noadjust",
    "cost": "type scale ratio noobj thresh",
    "scale_channels": "from activation scale_wh",
    "sam": "from activation",
}

#: Keys of each section that can be read.
KEYS = {section: tuple(keys.split()) for section, keys in _KEYS.items()}

#: Other names of sections.
SYNONYMS = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "lrn": "normalization",
    "Gaussian_yolo": "gaussian_yolo",
    "local_avg": "local_avgpool",
    "reorg3d": "reorg",
    "silence": "empty",
}

#: Sections that DarkNet knows and edensim does not: recurrent, transposed and locally connected
#: layers, and those of single experiments.
UNSUPPORTED = tuple(
    "deconvolutional deconv local rnn gru lstm crnn conv_lstm history iseg contrastive "
    "implicit".split()
)

#: The activation of a section if none is given, for sections that have one.
ACTIVATED = {
    "convolutional": "logistic",
    "connected": "logistic",
    "shortcut": "linear",
    "scale_channels": "linear",
    "sam": "linear",
}

#: Keys that change what is stored or moved in ways that are not simulated: they must be 0.
REFUSED = {
    "convolutional": ("antialiasing", "coordconv"),
    "maxpool": ("antialiasing", "maxpool_depth"),
    "reorg": ("flatten", "extra"),
}

#: The function of each section that has one of its own.
FUNCTIONS = {
    "softmax": "softmax",
    "logistic": "logistic",
    "l2norm": "l2norm",
    "normalization": "local response normalization",
}
