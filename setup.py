"""The packages of the wheel; to setuptools a folder of configs or of plugins is one, too."""

from setuptools import find_namespace_packages, setup

CACHES = ["*__pycache__*"]
beside = find_namespace_packages(include=["conf*", "plugins*"], exclude=CACHES)

setup(
    packages=[
        *find_namespace_packages(include=["xferlab*"], exclude=CACHES),
        *(f"xferlab.{name}" for name in beside),
    ]
)
