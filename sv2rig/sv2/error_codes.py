"""The error codes that our server sends, as SRI names them (subprotocols/mining/src/lib.rs).

What they say is for people and statistics: a peer must not depend on them (spec 3.5).
"""

# OpenMiningChannel.Error
EXTENDED_NOT_FOR_STANDARD_JOBS = "extended-channels-not-supported-for-standard-jobs"
INVALID_NOMINAL_HASHRATE = "invalid-nominal-hashrate"  # UpdateChannel.Error too
MAX_TARGET_OUT_OF_RANGE = "max-target-out-of-range"  # UpdateChannel.Error too
MIN_EXTRANONCE_SIZE_TOO_LARGE = "min-extranonce-size-too-large"
UNKNOWN_USER = "unknown-user"
TOO_MANY_CHANNELS = "too-many-channels"  # ours: SRI has no such limit

# SubmitShares.Error
INVALID_CHANNEL_ID = "invalid-channel-id"  # UpdateChannel.Error too
STALE_SHARE = "stale-share"
INVALID_JOB_ID = "invalid-job-id"
BAD_EXTRANONCE_SIZE = "bad-extranonce-size"
INVALID_SHARE = "invalid-share"  # ntime out of its bounds
VERSION_ROLLING_NOT_ALLOWED = "version-rolling-not-allowed"
INVALID_VERSION_BIT = "invalid-non-rollable-version-bit"
DIFFICULTY_TOO_LOW = "difficulty-too-low"
DUPLICATE_SHARE = "duplicate-share"
TOO_MANY_SHARES = "too-many-shares"  # ours: the memory for duplicates is full

# SetCustomMiningJob.Error
JD_NOT_SUPPORTED = "jd-not-supported"
