# A static binary on an empty image: nothing to patch but itself.
FROM golang:1.27 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/seawall ./cmd/seawall \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/seawall /seawall
# A new volume takes the owner of the folder it is mounted on.
COPY --from=build --chown=65532:65532 /out/data /data

USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080

# Mount the configuration here; it names the store as sqlite:/data/seawall.db.
ENV SEAWALL_CONFIG=/etc/seawall/seawall.yaml
ENTRYPOINT ["/seawall"]
CMD ["serve"]
