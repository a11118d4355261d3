# The HTTP server, or with `docker run -i IMAGE stdio` the server for one client over stdio.
#   docker build -t snowguard .
# The root file system may be read-only: what is written is in /var/lib/snowguard (state) and /tmp.
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build
# What only the build needs, and sources that the binary does not read, stay behind.
RUN npm prune --omit=dev --omit=peer --ignore-scripts && rm -rf node_modules/@photostructure/sqlite/src

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="snowguard" \
      org.opencontainers.image.description="An MCP server for Snowflake" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist/bin.js /src/dist/embedded.js ./dist/
COPY --from=build /src/dist/bundle ./dist/bundle
RUN mkdir -p /var/lib/snowguard && chown 10001:10001 /var/lib/snowguard && chmod 700 /var/lib/snowguard
ENV NODE_ENV=production \
    HOME=/var/lib/snowguard \
    SNOWGUARD_STATE_DIR=/var/lib/snowguard \
    SNOWGUARD_HTTP_HOST=0.0.0.0 \
    SNOWGUARD_HTTP_PORT=8787
USER 10001:10001
VOLUME ["/var/lib/snowguard"]
EXPOSE 8787
STOPSIGNAL SIGTERM
# Alive, not ready: a server whose warehouse fails answers from memory, and is not to be restarted.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SNOWGUARD_HTTP_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# The process handles the signals that end it, and waits for its children: it needs no init in front of it.
ENTRYPOINT ["node", "/app/dist/bin.js"]
CMD ["http"]
