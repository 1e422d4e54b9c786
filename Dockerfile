# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --locked --profile dist --bin vendorgate \
    && install -D target/dist/vendorgate /out/usr/local/bin/vendorgate \
    && install -d -o 65532 -g 65532 -m 0700 /out/var/lib/vendorgate \
    && install -d /out/etc/vendorgate

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="vendorgate" \
      org.opencontainers.image.description="The gateway between a company and its vendors" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
USER 65532:65532
EXPOSE 8443 8081 9901
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["/usr/local/bin/vendorgate", "health"]
ENTRYPOINT ["/usr/local/bin/vendorgate"]
CMD ["run", "--config", "/etc/vendorgate/vendorgate.yaml"]
