# What the one-shot services and the Kafka trigger of compose.yaml run in: Python and the pinned packages they import, the
# repository itself is mounted. The functions' own packages are fetched when they are deployed.
FROM python:3.13-slim

WORKDIR /tools
COPY localstack/builders.requirements.txt layers/third_party/requirements.txt localstack/tools.requirements.txt /tools/
RUN pip install --no-cache-dir --no-deps --requirement builders.requirements.txt \
    && pip install --no-cache-dir --no-deps --no-build-isolation --requirement requirements.txt \
    && pip install --no-cache-dir --no-deps --no-build-isolation --requirement tools.requirements.txt

ENV PYTHONPATH=/repository:/repository/localstack:/repository/layers/event_analytics/python \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
WORKDIR /repository
