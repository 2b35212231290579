"""What do people see? Web pages over the HTTP API: `storefront` for shoppers.

Pages are ordinary customers of `/v1/...`: they import no engine, no store and no service, so whatever they show
can be built by any shop with the same key. Not here: answers, keys, limits (see `service`).
"""
