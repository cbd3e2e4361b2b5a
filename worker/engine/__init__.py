"""The embedded engine: a small server on transformers + peft that speaks vLLM's dialect of the OpenAI API.

Its parts, from the wire inwards: `server` (HTTP), `protocol` and `responses` (the dialect), `loop` (continuous
batching in one thread), `runner` (forward passes), `slots` and `prefixes` (key/value caches), `adapters` (peft),
`sampling` and `text`. It trains nothing and knows nothing of jobs, documents or the store.

Why not transformers' own continuous batching (5.24, `generation/continuous_batching`): it packs all requests of a step
into one batch row over a paged cache, while peft picks an adapter for each batch *row* (`adapter_names`), so requests
for different adapters could not share a step; its samplers know no log-probabilities of the prompt and no `n`.
"""
