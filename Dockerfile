# Serves trained models over HTTP, on the CPU. docs/deploy.md: how to run it, and what to put in front.
#   docker build -t zeuxis .
#   docker run -p 127.0.0.1:8000:8000 -v ./runs:/runs:ro -v ./token.txt:/token.txt:ro zeuxis \
#       serve /runs/demo --host-name pictures.example --token-file /token.txt

FROM node:22-slim AS pages
WORKDIR /zeuxis
COPY studio studio
COPY web web
RUN mkdir -p src/zeuxis/server src/zeuxis/export \
 && (cd studio && npm ci --no-audit --no-fund && npm run build) \
 && (cd web && npm ci --no-audit --no-fund && npm run build)

FROM python:3.12-slim AS wheel
WORKDIR /zeuxis
COPY pyproject.toml README.md LICENSE NOTICE CHANGELOG.md constraints.txt ./
COPY studio/hatch_build.py studio/hatch_build.py
COPY src src
COPY --from=pages /zeuxis/src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.12-slim
# Where PyTorch's build without CUDA comes from: a few hundred megabytes in place of several gigabytes.
ARG TORCH=https://download.pytorch.org/whl/cpu
COPY constraints.txt /constraints.txt
RUN pip install --no-cache-dir -c /constraints.txt --extra-index-url $TORCH torch
COPY --from=wheel /dist /dist
RUN pip install --no-cache-dir -c /constraints.txt "$(ls /dist/*.whl)[studio]" \
 && useradd --create-home zeuxis
USER zeuxis
WORKDIR /home/zeuxis
EXPOSE 8000
ENTRYPOINT ["zeuxis"]
CMD ["--help"]
