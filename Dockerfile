# syntax=docker/dockerfile:1
# The command `star` and its app, from this checkout:
#
#   docker build --tag star-vsr .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" \
#       --volume star-cache:/cache star-vsr restore old.mp4 new.mp4
#
# With a GPU, add `--gpus all`. Without one, an image of CPU builds is several
# GB smaller: `--build-arg TORCH_INDEX=ADDRESS`, see below.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Address of the index of CPU builds that PyTorch's installation page names;
# empty for the build with CUDA, which runs without a GPU as well.
ARG TORCH_INDEX=
# of setup.cfg, with commas between
ARG EXTRAS=app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_EXTRA_INDEX_URL=${TORCH_INDEX} \
    PIP_CONSTRAINT=/source/constraints.txt
WORKDIR /source
COPY constraints.txt ./
# The constraints pin both; a build environment of its own would take others.
# hadolint ignore=DL3013
RUN python -m venv /opt/star \
    && /opt/star/bin/python -m pip install --no-cache-dir pip setuptools
ENV PATH=/opt/star/bin:${PATH}
COPY pyproject.toml setup.cfg MANIFEST.in model-index.yml README.md LICENSE ./
COPY configs configs
COPY tools tools
COPY star star
# hadolint ignore=DL3013
RUN python -m pip install --no-cache-dir --no-build-isolation ".[${EXTRAS}]"

FROM ${PYTHON_IMAGE}
# opencv-python is linked with them. Debian keeps one version of each.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
# whoever `--user` names may write here
RUN useradd --create-home --uid 1000 star \
    && install --directory --mode 1777 /cache /work
COPY --from=build /opt/star /opt/star
# all downloads go to the volume; a user without a name has no other home
ENV PATH=/opt/star/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    HOME=/cache \
    HF_HOME=/cache/huggingface \
    TORCH_HOME=/cache/torch \
    MPLCONFIGDIR=/cache/matplotlib \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor
VOLUME /cache
WORKDIR /work
USER 1000:1000
ENTRYPOINT ["star"]
CMD ["--help"]
