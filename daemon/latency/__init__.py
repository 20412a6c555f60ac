"""Request latency: from a request's duration to the percentiles of its class."""
