"""The error codes that our server sends, as SRI names them (stratum-mining/stratum 26802203,
sv2/subprotocols), and two of our own.

The specification names none: codes differ between implementations, so an unknown one is logged
and nothing more, and recovery never depends on a code (3.5).
"""

# SetupConnection.Error
UNSUPPORTED_FEATURE_FLAGS = "unsupported-feature-flags"
UNSUPPORTED_PROTOCOL = "unsupported-protocol"
PROTOCOL_VERSION_MISMATCH = "protocol-version-mismatch"  # in earlier texts of the specification

# OpenMiningChannel.Error
EXTENDED_CHANNELS_NOT_SUPPORTED_FOR_STANDARD_JOBS = (
    "extended-channels-not-supported-for-standard-jobs"
)
INVALID_NOMINAL_HASHRATE = "invalid-nominal-hashrate"  # UpdateChannel.Error too
MAX_TARGET_OUT_OF_RANGE = "max-target-out-of-range"  # UpdateChannel.Error too
MIN_EXTRANONCE_SIZE_TOO_LARGE = "min-extranonce-size-too-large"
TOO_MANY_CHANNELS = "too-many-channels"  # ours: SRI has no such limit

# SubmitShares.Error
INVALID_CHANNEL_ID = "invalid-channel-id"  # UpdateChannel.Error too
STALE_SHARE = "stale-share"  # of a job that a new previous hash ended
INVALID_JOB_ID = "invalid-job-id"
BAD_EXTRANONCE_SIZE = "bad-extranonce-size"
INVALID_SHARE = "invalid-share"  # ntime out of its bounds
VERSION_ROLLING_NOT_ALLOWED = "version-rolling-not-allowed"
INVALID_NON_ROLLABLE_VERSION_BIT = "invalid-non-rollable-version-bit"  # outside 0x1fffffe0
DIFFICULTY_TOO_LOW = "difficulty-too-low"  # hash above the job's target
DUPLICATE_SHARE = "duplicate-share"
TOO_MANY_SHARES = "too-many-shares"  # ours: the memory for duplicates is full

# SetCustomMiningJob.Error
JD_NOT_SUPPORTED = "jd-not-supported"
