# syntax=docker/dockerfile:1
# Two images from one file: `api` (no torch) and `worker` (torch's CUDA wheels; give the container a GPU to use it).

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/ingrain
ENV PATH=/opt/ingrain/bin:$PATH
WORKDIR /src
COPY constraints.txt .

FROM build AS build-api
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY worker worker
COPY migrations migrations
RUN --mount=type=cache,target=/root/.cache/pip pip install --constraint constraints.txt ".[postgres,s3,embeddings]"

FROM build AS build-worker
# The heavy layer first: it changes only with the constraints.
RUN --mount=type=cache,target=/root/.cache/pip pip install --constraint constraints.txt torch transformers peft
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY worker worker
COPY migrations migrations
RUN --mount=type=cache,target=/root/.cache/pip pip install --constraint constraints.txt ".[postgres,s3,embedded,embeddings,worker]"

FROM python:3.11-slim AS runtime
RUN useradd --uid 10001 --create-home ingrain && install -d -o ingrain -g ingrain /data /models
ENV PATH=/opt/ingrain/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    INGRAIN_HOME=/data/ingrain
USER ingrain
WORKDIR /home/ingrain
VOLUME /data
STOPSIGNAL SIGTERM

FROM runtime AS api
COPY --from=build-api /opt/ingrain /opt/ingrain
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["ingrain", "api", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime AS worker
COPY --from=build-worker /opt/ingrain /opt/ingrain
CMD ["ingrain", "worker"]
