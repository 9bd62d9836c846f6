# The image of every service: `python -m services.<name>`, and of `tradewind prepare`.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements/image.lock requirements/image.lock
RUN python -m venv /opt/tradewind \
 && /opt/tradewind/bin/pip install --no-cache-dir --no-compile --require-hashes -r requirements/image.lock

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tradewind \
 && mkdir /data && chown 10001:10001 /data
COPY --from=build /opt/tradewind /opt/tradewind
WORKDIR /srv
COPY libs libs
COPY services services
COPY deploy deploy
COPY docs docs
ENV PATH=/opt/tradewind/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MALLOC_ARENA_MAX=2 \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001
EXPOSE 8080 9100
CMD ["python", "-m", "deploy.local.cli", "--help"]
