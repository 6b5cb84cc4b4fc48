"""Other tools' words for our keys, so that a wrong word is answered with the right one."""

from __future__ import annotations

OURS = {
    "lr": "optimizer.lr",
    "learning_rate": "optimizer.lr",
    "optimizer.learning_rate": "optimizer.lr",
    "train.lr": "optimizer.lr",
    "train.learning_rate": "optimizer.lr",
    "trainer.learning_rate": "optimizer.lr",
    "model.lr": "optimizer.lr",
    "weight_decay": "optimizer.weight_decay",
    "optim": "optimizer",
    "epochs": "train.epochs",
    "max_epochs": "train.epochs",
    "num_epochs": "train.epochs",
    "num_train_epochs": "train.epochs",
    "train.max_epochs": "train.epochs",
    "train.num_train_epochs": "train.epochs",
    "trainer.max_epochs": "train.epochs",
    "trainer.epochs": "train.epochs",
    "max_steps": "train.max_steps",
    "trainer.max_steps": "train.max_steps",
    "batch_size": "train.batch_size",
    "data.batch_size": "train.batch_size",
    "trainer.batch_size": "train.batch_size",
    "per_device_train_batch_size": "train.batch_size",
    "per_device_eval_batch_size": "train.eval_batch_size",
    "gradient_accumulation_steps": "train.accumulate",
    "trainer.accumulate_grad_batches": "train.accumulate",
    "max_grad_norm": "train.clip_norm",
    "gradient_clip_val": "train.clip_norm",
    "trainer.gradient_clip_val": "train.clip_norm",
    "precision": "train.precision",
    "fp16": "train.precision",
    "bf16": "train.precision",
    "trainer.precision": "train.precision",
    "optimized_metric": "train.monitor",
    "monitor": "train.monitor",
    "metric_for_best_model": "train.monitor",
    "load_best_model_at_end": "train.restore_best",
    "early_stopping_patience": "train.patience",
    "trainer.limit_train_batches": "data.limit.train",
    "max_train_samples": "data.limit.train",
    "max_length": "data.max_length",
    "max_seq_length": "data.max_length",
    "model.max_length": "data.max_length",
    "train.max_length": "data.max_length",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "scheduler": "schedule",
    "warmup": "schedule.warmup",
    "warmup_ratio": "schedule.warmup",
    "warmup_steps": "schedule.warmup",
    "train.warmup": "schedule.warmup",
    "strategy": "transfer",
    "dataset": "data",
    "metrics": "metric",
    "criterion": "loss",
    "loss_fn": "loss",
    "model_name_or_path": "model.checkpoint",
    "pretrained_model_name_or_path": "model.checkpoint",
    "checkpoint": "model.checkpoint",
    "train.seed": "seed",
    "random_seed": "seed",
    "trainer": "train",
    "training": "train",
    "callbacks": "train",
}


def our_word(key: str) -> str | None:
    """Return our key for another tool's ``key``, or None if it is not a known one.

    >>> our_word("trainer.max_epochs")
    'train.epochs'
    """
    return OURS.get(key)
