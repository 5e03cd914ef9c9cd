# TEMPL with all that a user may want: docker build -t templ . && docker run --rm -v "$PWD:/work" templ doctor
FROM python:3.12-slim

# What RDKit's drawings and matplotlib load at run time.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 libxext6 libxrender1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/templ
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[all]" && useradd --create-home --uid 1000 templ

USER 1000
WORKDIR /work
ENTRYPOINT ["templ"]
CMD ["--help"]
