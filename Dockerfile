# syntax=docker/dockerfile:1
# Three images from one file:  docker build --target service|servers|worker .
#   service   answers /predict; no torch, no compiler
#   servers   Prefect's and MLflow's servers, for clusters that have none
#   worker    flows, training, Dask
# An exact tag and no digest: a digest is a registry's to give, and one written here would shut out the security updates
# of Debian that a tag of Python takes in. What was built and tested is named by digest in helm/values-images.yaml.
ARG BASE_IMAGE=python:3.11.14-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PATH=/app/.venv/bin:$PATH:/opt/uv/bin \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9
WORKDIR /app
# Only what decides the dependencies: a change of code leaves their layers alone.
COPY pyproject.toml uv.lock ./

FROM build AS service-dependencies
# `openvino` adds the other runtime for the model, 180 MB; PARKING_RUNTIME says which one runs it.
ARG RUNTIME=onnxruntime
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008  # any `strip` will do, and it stays in this stage
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/root/.cache/uv \
    case "$RUNTIME" in \
      onnxruntime) groups=(--no-default-groups) ;; \
      openvino) groups=(--no-default-groups --group openvino) ;; \
      *) echo "RUNTIME=$RUNTIME: give onnxruntime or openvino" >&2; exit 1 ;; \
    esac; \
    UV_COMPILE_BYTECODE=0 uv sync --frozen --no-install-project "${groups[@]}"
# A third of the size goes: tests, parts of wheels that serving never loads, debug symbols (auditwheel's own copies in
# `*.libs` do not survive stripping), and bytecode of what is never imported.
RUN packages=$(echo /app/.venv/lib/python3*/site-packages); \
    find "$packages" -type d -name tests -prune -exec rm -rf {} +; \
    rm -rf "$packages"/onnxruntime/{capi/libonnxruntime.so*,datasets,quantization,tools,transformers}; \
    rm -rf "$packages"/pyarrow/{include,src,libarrow_{flight,python_flight}*,_flight*}; \
    find "$packages" -type f '(' -name '*.py[ix]' -o -name '*.px[di]' -o -name '*.a' ')' -delete; \
    find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d -not -name s3 -not -name 'sso*' -not -name sts \
      -exec rm -rf {} +; \
    find "$packages" -type f -name '*.so*' -not -path '*.libs/*' -exec strip --strip-unneeded {} +; \
    python -c 'import boto3.session, cv2, fastapi.applications, loguru, mlflow.artifacts, mlflow.tracking, multipart' \
    && python -c 'import mlflow.store.artifact.mlflow_artifacts_repo, mlflow.store.model_registry.rest_store, onnxruntime' \
    && python -c 'import pyarrow.compute, pyarrow.parquet, pydantic_settings, rasterio.warp, rich.progress, shapely.ops' \
    && python -c 'import prometheus_client, s3transfer.manager, typer, uvicorn.protocols.http.h11_impl, PIL.TiffImagePlugin' \
    && { [ "$RUNTIME" = onnxruntime ] || python -c 'import openvino; openvino.Core().get_versions("CPU")'; }

FROM build AS servers-dependencies
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-install-project --no-default-groups --group loop

FROM build AS worker-dependencies
# `cpu` takes the locked version of torch from PyTorch's own index, without CUDA's 4 GB; `cuda` takes all as locked.
ARG TORCH=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN --mount=type=cache,target=/root/.cache/uv \
    groups=(--no-default-groups --group loop --group survey --group cluster --group monitoring --group learning); \
    case "$TORCH" in \
      cuda) uv sync --frozen --no-install-project "${groups[@]}" ;; \
      cpu) \
        mapfile -t without < <(sed -nE 's/^name = "(torch|torchvision|triton|nvidia-.*|cuda-.*)"$/--no-install-package=\1/p' uv.lock); \
        mapfile -t torch < <(sed -nE '/^name = "torch(vision)?"$/{N;s/^name = "(.*)"\nversion = "(.*)"$/\1==\2/p}' uv.lock); \
        uv sync --frozen --no-install-project "${groups[@]}" "${without[@]}"; \
        uv pip install --no-deps --index-url "$TORCH_INDEX" "${torch[@]}" ;; \
      *) echo "TORCH=$TORCH: give cpu or cuda" >&2; exit 1 ;; \
    esac

# The project itself, a layer of kilobytes beside those of the dependencies.
FROM build AS code
COPY README.md LICENSE ./
COPY parking parking
COPY monitoring monitoring
COPY flows flows
COPY service service
COPY cli cli
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --no-deps --target /app/code . \
    # The script that pip makes would name the interpreter of this stage.
    && printf '#!/bin/sh\nexec python -m cli.app "$@"\n' > /app/code/bin/parking

FROM ${BASE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="free-parking" \
      org.opencontainers.image.description="Free parking places from satellite and aerial images" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/app/code/bin:/app/.venv/bin:$PATH \
    PYTHONPATH=/app/code \
    # The working folder is writable, so nothing is imported from it.
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    # The root may be read-only: everything that is written, temporary files included, goes to /state.
    HOME=/state \
    TMPDIR=/state \
    PARKING_STATE_DIR=/state
RUN install -d -o 10001 -g 10001 /state
WORKDIR /state
USER 10001:10001
VOLUME /state

FROM runtime AS worker
COPY --from=worker-dependencies /app/.venv /app/.venv
COPY --from=code /app/code /app/code
# The flows, for the server that PREFECT_API_URL names.
CMD ["parking", "flows"]
# At the end, where another commit leaves the layers alone.
ARG REVISION=
ENV CODE_REVISION=${REVISION}
LABEL org.opencontainers.image.revision="${REVISION}"

FROM runtime AS servers
COPY --from=servers-dependencies /app/.venv /app/.venv
COPY --from=code /app/code /app/code
CMD ["prefect", "server", "start", "--host", "0.0.0.0"]
ARG REVISION=unknown
LABEL org.opencontainers.image.revision="${REVISION}"

# Last, so that a build without --target makes it.
FROM runtime AS service
COPY --from=service-dependencies /app/.venv /app/.venv
COPY --from=code /app/code /app/code
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["parking"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
ARG REVISION=unknown
LABEL org.opencontainers.image.revision="${REVISION}"
