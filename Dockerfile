# syntax=docker/dockerfile:1
# Airflow with Vitrine's packages, DAGs, logic and pages.
#
#   docker build --tag vitrine:0.1.0 .
#   docker build --tag vitrine:0.1.0-gpu --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cu130 .
#
# A mirror: pip's own settings, as a secret file that stays out of the image
# (--secret id=pip_conf,src=$HOME/.config/pip/pip.conf) or as build arguments (--build-arg PIP_INDEX_URL=…).
FROM apache/airflow:3.3.2-python3.11

ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST
# Where torch comes from, which decides CPU or CUDA. Empty: from pip's own index.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu

# Volumes mounted here take over their owner (airflow, group 0) at first use.
RUN mkdir -p /opt/airflow/data /opt/airflow/logs && chmod g+rwX /opt/airflow/data /opt/airflow/logs

# Packages before code: a changed DAG does not install torch again. That index has torch alone in the right build,
# so its dependencies come with the rest.
COPY --chown=airflow:0 requirements.txt constraints.txt /opt/airflow/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf,mode=0444 \
    if [ -n "${TORCH_INDEX_URL}" ]; then \
        pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX_URL}" \
            "$(grep --only-matching --max-count 1 '^torch==[^ ;#]*' /opt/airflow/constraints.txt)"; \
    fi \
    && pip install --no-cache-dir --requirement /opt/airflow/requirements.txt --constraint /opt/airflow/constraints.txt

COPY --chown=airflow:0 include /opt/airflow/include
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 plugins /opt/airflow/plugins

ENV PYTHONPATH=/opt/airflow:/opt/airflow/plugins \
    VITRINE_DATA=/opt/airflow/data \
    TOKENIZERS_PARALLELISM=false

# A build whose packages do not fit together fails here, not in the first task.
RUN python -c "import asyncpg, psycopg2, onnxruntime, qdrant_edge, torch, transformers; \
import airflow.providers.celery.executors.celery_executor, include.stages"

# As the base image: not root.
USER airflow
