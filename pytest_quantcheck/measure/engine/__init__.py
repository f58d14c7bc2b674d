"""Torch code that every backend of transformers' models shares.

How a model is forwarded is tried when it is first asked, not looked up: `probe` for scores,
`row_probe` for outputs. What fails the trial, or differs from the model itself, takes the next way.

==============================  ===================================================================
`causal`, `classification`      the models that tasks ask; `loaded` is what both have in common
**scores**
`plan`, `probe`                 the ways to forward sequences, and which one a model takes
`trie`, `packs`, `tree`         packs: beginnings in common are computed once
`attention`, `varlen`,          their attention, by one of two kernels
`blocks`
`kernels`                       what one kernel computes where models or torch take several
`padded`                        similar lengths, padded behind
`forward`, `scoring`            equal lengths, the model used whole
`head`, `answers`, `upload`,    body and head apart; which rows the head sees, and what it says
`likelihoods`
`states`, `predictions`         whole predictions, kept as final hidden states and compared
**outputs**
`generation`, `row_probe`       the ways to continue prompts, and which one a model takes
`layout`, `rows`, `replay`,     rows of one cache, each at its own position; steps as CUDA graphs
`continuous`
`equal_lengths`                 equal lengths, by the model's own `generate`
`outputs`, `sampling`,          what is asked and found, whatever the way
`stopping`
**all**
`llm_int8`                      LLM.int8 on several sequences at once, each as if it were alone
`segments`                      which rows of a pass belong together
`rotary`, `spread`              what architectures and placements rule out
`weights`, `stored`             what tensors say of how they are stored
`encoding`, `chat`              text to tokens
`undisturbed`                   nothing global is left changed
==============================  ===================================================================

A new way to score is a member of `Plan`, a class with the methods of `Forwards` (in `tree`) and a
step in `probe`; what a new architecture needs to be decoded in rows goes into `layout`, and its
trial into `row_probe`. Reasons are in docs/design: scoring.md, generation.md, llm-int8.md.
"""

ENGINE_VERSION = 6
"""To be raised with any change after which a model may score differently: results that were kept
under another version are measured again."""
