"""A rig whose API is served: real devices on the loop, a pool that is away."""
