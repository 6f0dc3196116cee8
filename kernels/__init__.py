"""The SHA-256d header search, written once and emitted as OpenCL C and as LLVM IR.

`program` runs SHA-256d over symbols; `expressions` folds what is constant, moves to the host what
does not depend on the nonce, and drops what the early rejection never reads. `opencl`, `llvm` and
`llvm_sha` print what is left; `prepare` makes the words that a launch reads.
"""
