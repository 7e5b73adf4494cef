# storagesrv as an image: one static binary, and the certificates of public
# authorities for a recorder that has one of theirs.
#
#   docker build -t storagesrv .
#   docker run --read-only --cap-drop ALL -p 127.0.0.1:8080:8080 \
#       -v "$PWD/etc:/etc/storagesrv:ro" -v /mnt/recordings:/mnt/recordings:ro,rslave storagesrv
#
# etc/ holds storagesrv.yaml and the secrets beside it, readable to user 65532.
# In there http.listen has to be 0.0.0.0:8080, or nothing outside reaches it,
# and access has to say who may play: any of tokens, signing_keys, forward, jwt
# or anonymous: true. http.admin must not be off, for the health check.
# rslave lets the container see an NFS mount that comes back. Where Docker says
# that the mount is not shared, leave it out, or `mount --make-rshared /` first.

FROM golang:1.26-bookworm AS build
# Where modules come from, if not from Go's own proxy: docker build --build-arg GOPROXY=...
ARG GOPROXY GONOPROXY GOSUMDB GONOSUMDB GOPRIVATE GOINSECURE
WORKDIR /src
COPY . .
# The second is a recorder for docker-compose.yml to try storagesrv with.
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./cmd/storagesrv ./scripts/fakerecorder

FROM scratch AS fakerecorder
COPY --from=build /out/fakerecorder /fakerecorder
USER 65532:65532
ENTRYPOINT ["/fakerecorder"]

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/storagesrv /storagesrv
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/storagesrv", "health"]
ENTRYPOINT ["/storagesrv"]
CMD ["serve"]
