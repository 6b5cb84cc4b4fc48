"""Other tools' names for config keys and plugins, so that an unknown one gets the right name.

Names of the Hugging Face Trainer, Lightning, Keras, scikit-learn, fairseq, spaCy and the old
examples, as users carry them over. A key is looked up whole, then by its last part.
"""

from __future__ import annotations

KEYS = {
    # how fast
    "lr": "optimizer.lr",
    "learning_rate": "optimizer.lr",
    "learn_rate": "optimizer.lr",
    "init_lr": "optimizer.lr",
    "learning_rate_init": "optimizer.lr",
    "peak_lr": "optimizer.lr",
    "max_lr": "optimizer.lr",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "weight_decay": "optimizer.weight_decay",
    "wd": "optimizer.weight_decay",
    "adam_epsilon": "optimizer.epsilon",
    "eps": "optimizer.epsilon",
    "adam_beta1": "optimizer.beta_1",
    "beta1": "optimizer.beta_1",
    "adam_beta2": "optimizer.beta_2",
    "beta2": "optimizer.beta_2",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "scheduler": "schedule",
    "lr_schedule": "schedule",
    "warmup": "schedule.warmup",
    "warmup_ratio": "schedule.warmup",
    "warmup_steps": "schedule.warmup",
    "num_warmup_steps": "schedule.warmup",
    "warmup_proportion": "schedule.warmup",
    "warmup_updates": "schedule.warmup",
    "warm_up": "schedule.warmup",
    # how long
    "epochs": "train.epochs",
    "max_epochs": "train.epochs",
    "max_epoch": "train.epochs",
    "num_epochs": "train.epochs",
    "n_epochs": "train.epochs",
    "nb_epoch": "train.epochs",
    "num_train_epochs": "train.epochs",
    "max_iter": "train.max_steps",
    "max_steps": "train.max_steps",
    "num_steps": "train.max_steps",
    "total_steps": "train.max_steps",
    "num_train_steps": "train.max_steps",
    "max_update": "train.max_steps",
    "steps_per_epoch": "train.max_steps",
    "early_stopping": "train.patience",
    "early_stopping_patience": "train.patience",
    "early_stopping_rounds": "train.patience",
    "n_iter_no_change": "train.patience",
    # how much at once
    "batch_size": "train.batch_size",
    "train_batch_size": "train.batch_size",
    "per_device_train_batch_size": "train.batch_size",
    "per_gpu_train_batch_size": "train.batch_size",
    "bs": "train.batch_size",
    "max_sentences": "train.batch_size",
    "batcher": "train.batch_size",
    "eval_batch_size": "train.eval_batch_size",
    "per_device_eval_batch_size": "train.eval_batch_size",
    "per_gpu_eval_batch_size": "train.eval_batch_size",
    "validation_batch_size": "train.eval_batch_size",
    "gradient_accumulation_steps": "train.gradient_accumulation_steps",
    "accumulate_grad_batches": "train.gradient_accumulation_steps",
    "accumulate_gradient": "train.gradient_accumulation_steps",
    "grad_accum": "train.gradient_accumulation_steps",
    "update_freq": "train.gradient_accumulation_steps",
    "max_grad_norm": "train.max_grad_norm",
    "gradient_clip_val": "train.max_grad_norm",
    "grad_clip": "train.max_grad_norm",
    "clipnorm": "train.max_grad_norm",
    "global_clipnorm": "train.max_grad_norm",
    "precision": "train.precision",
    "fp16": "train.precision",
    "bf16": "train.precision",
    "amp": "train.precision",
    "mixed_precision": "train.precision",
    "dtype_policy": "train.precision",
    # which epoch
    "optimized_metric": "train.monitor",
    "monitor": "train.monitor",
    "metric_for_best_model": "train.monitor",
    "best_checkpoint_metric": "train.monitor",
    "load_best_model_at_end": "train.restore_best",
    "restore_best_weights": "train.restore_best",
    "save_best_only": "train.restore_best",
    # on what
    "dataset": "data",
    "dataset_name": "data",
    "task_name": "data",
    "corpora": "data",
    "dataset_config_name": "data.config",
    "train_file": "data.train",
    "train_data": "data.train",
    "validation_file": "data.validation",
    "test_file": "data.test",
    "text_column": "data.text",
    "text_column_name": "data.text",
    "label_column": "data.label",
    "label_column_name": "data.label",
    "limit_train_batches": "data.limit.train",
    "max_train_samples": "data.limit.train",
    "max_eval_samples": "data.limit.validation",
    "limit_val_batches": "data.limit.validation",
    "validation_split": "data.validation_fraction",
    "validation_fraction": "data.validation_fraction",
    "max_length": "data.max_length",
    "max_len": "data.max_length",
    "max_seq_length": "data.max_length",
    "max_seq_len": "data.max_length",
    "model_max_length": "data.max_length",
    "sequence_length": "data.max_length",
    # with what
    "model_name": "model.checkpoint",
    "model_name_or_path": "model.checkpoint",
    "pretrained_model_name_or_path": "model.checkpoint",
    "model_id": "model.checkpoint",
    "tokenizer_name": "model.checkpoint",
    "pretrained": "model.checkpoint",
    "checkpoint": "model.checkpoint",
    "backbone": "model",
    "finetune": "transfer",
    "freeze": "transfer",
    "metrics": "metric",
    "scorer": "metric",
    "callbacks": "callback",
    "hooks": "callback",
    "criterion": "loss",
    "loss_fn": "loss",
    "loss_function": "loss",
    "label_smoothing_factor": "loss.label_smoothing",
    "class_weights": "loss.class_weight",
    # the run itself
    "random_seed": "seed",
    "random_state": "seed",
    "seed_everything": "seed",
    "data_seed": "seed",
    "trainer": "train",
    "training": "train",
    "run_name": "name",
    "experiment_name": "name",
    "output_dir": "hydra.run.dir",
    "save_dir": "hydra.run.dir",
    "default_root_dir": "hydra.run.dir",
    "enable_determinism": "train.deterministic",
    "full_determinism": "train.deterministic",
    "train.seed": "seed",
    "train.warmup": "schedule.warmup",
}

DEVICE = "leave it out: TensorFlow takes the GPU there is; CUDA_VISIBLE_DEVICES chooses another"
TRACKERS = (
    "callback=[tensorboard,mlflow] or callback=[tensorboard,wandb]; history.csv is always written"
)
EPOCHLY = "leave it out: every epoch is scored, logged and saved if it is the best"
ADVICE = {
    **dict.fromkeys(("devices", "accelerator", "gpus", "gpu_id", "no_cuda", "use_cpu"), DEVICE),
    **dict.fromkeys(("device", "num_gpus", "n_gpu", "local_rank", "num_nodes"), DEVICE),
    **dict.fromkeys(
        ("save_steps", "save_strategy", "save_total_limit", "eval_strategy", "eval_steps"), EPOCHLY
    ),
    **dict.fromkeys(("evaluation_strategy", "logging_steps", "logging_strategy"), EPOCHLY),
    **dict.fromkeys(("do_train", "do_eval", "do_predict", "log_every_n_steps"), EPOCHLY),
    **dict.fromkeys(("report_to", "logger", "loggers", "wandb", "mlflow", "tracker"), TRACKERS),
    **dict.fromkeys(
        ("strategy", "distributed", "distribute", "tpu_cores"),
        "leave it out: a run uses one device, and sweep.gpus=[0,1] gives each job of a sweep its"
        " own; which layers are trained is transfer=NAME",
    ),
    **dict.fromkeys(
        ("test_size", "test_split", "train_size"),
        "name a file of test examples: data.test=FILE; data.validation_fraction=0.2 holds back"
        " examples for validation",
    ),
    **dict.fromkeys(
        ("tags", "tag", "notes", "group"), "name=NAME names the run's folder; there are no tags"
    ),
    **dict.fromkeys(
        ("resume_from_checkpoint", "ckpt_path", "resume", "restore_file", "initial_epoch"),
        "type the same command again with --recover",
    ),
    "overwrite_output_dir": "type the same command again with --force",
    "group_by_length": "leave it out: examples of similar length share a batch anyway",
    "tokenizer": "leave it out: the model brings its tokenizer",
    "from_logits": "leave it out: the loss gets the model's output kind",
    "num_labels": "leave it out: the data defines how many classes there are",
    "num_classes": "leave it out: the data defines how many classes there are",
}

NAMES = {
    "ce": "cross_entropy",
    "crossentropy": "cross_entropy",
    "cross_entropy_loss": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "nll": "cross_entropy",
    "label_smoothed_cross_entropy": "cross_entropy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "mse": "mean_squared_error",
    "l2": "mean_squared_error",
    "mae": "mean_absolute_error",
    "smooth_l1": "huber",
    "acc": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "f1_score": "f1",
    "f1_macro": "macro_f1",
    "f1_micro": "micro_f1",
    "mcc": "matthews",
    "matthews_correlation": "matthews",
    "pearsonr": "pearson",
    "spearmanr": "spearman",
    "auroc": "auc",
    "roc_auc": "auc",
    "ece": "calibration_error",
    "seqeval": "entity_f1",
    "adamw_torch": "adamw",
    "adamw_hf": "adamw",
    "adam_w": "adamw",
    "adamweightdecay": "adamw",
    "momentum": "sgd",
    "linear_with_warmup": "linear",
    "warmup_linear": "linear",
    "polynomial_decay": "polynomial",
    "constant_with_warmup": "constant",
    "cosine_with_restarts": "cosine_restarts",
    "inverse_square_root": "inverse_sqrt",
    "onecycle": "one_cycle",
    "plateau": "reduce_on_plateau",
    "finetune": "full",
    "fine_tuning": "full",
    "feature_extraction": "frozen",
    "linear_probe": "frozen",
    "discriminative": "layer_decay",
    "llrd": "layer_decay",
    "bias_only": "bitfit",
    "reinit": "reinit_top",
    "param_groups": "patterns",
    "gradual_unfreezing": "gradual",
    "all_minilm_l6_v2": "minilm",
    "distilbert_base_uncased": "distilbert",
    "roberta_base": "roberta",
    "xlm_roberta_base": "xlm_roberta",
    "albert_base_v2": "albert",
    "csv": "files",
    "json": "files",
    "huggingface": "hub",
    "hf": "hub",
}


OTHER_FAMILIES = (
    "bart",
    "bigbird",
    "camembert",
    "codebert",
    "deberta",
    "electra",
    "ernie",
    "eurobert",
    "flan",
    "gemma",
    "gpt",
    "llama",
    "longformer",
    "mistral",
    "modernbert",
    "mpnet",
    "neobert",
    "nomic",
    "opt",
    "phi",
    "qwen",
    "t5",
    "xlnet",
)
"""Families of encoders and decoders in the names of checkpoints; some may be loadable by now."""


def known_key(key: str) -> str | None:
    """Return the config key for another tool's ``key``, or None if it is not a known one.

    >>> known_key("trainer.max_epochs")
    'train.epochs'
    """
    ours = KEYS.get(key) or KEYS.get(key.rpartition(".")[2])
    return ours if ours != key else None


def advice(key: str) -> str | None:
    """Return advice for another tool's ``key`` that has no counterpart here."""
    return ADVICE.get(key.rpartition(".")[2])


def known_name(name: str) -> str | None:
    """Return the plugin or preset for another tool's ``name``.

    >>> known_name("BCE")
    'binary_cross_entropy'
    """
    return NAMES.get(name.lower().replace("-", "_"))
