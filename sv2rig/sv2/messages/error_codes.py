"""Error codes in use, as SRI defines them (stratum-mining/stratum 26802203, sv2/subprotocols).

The specification names none: codes differ between implementations, so an unknown one is logged
and nothing more, and recovery never depends on a code (3.5).
"""

# SetupConnection.Error
UNSUPPORTED_FEATURE_FLAGS = "unsupported-feature-flags"
UNSUPPORTED_PROTOCOL = "unsupported-protocol"
MISSING_DECLARE_TX_DATA_FLAG = "missing-declare-tx-data-flag"
PROTOCOL_VERSION_MISMATCH = "protocol-version-mismatch"  # in earlier texts of the specification

# OpenMiningChannel.Error
EXTENDED_CHANNELS_NOT_SUPPORTED_FOR_STANDARD_JOBS = (
    "extended-channels-not-supported-for-standard-jobs"
)
STANDARD_CHANNELS_NOT_SUPPORTED_FOR_CUSTOM_WORK = "standard-channels-not-supported-for-custom-work"
INVALID_USER_IDENTITY = "invalid-user-identity"
UNKNOWN_USER = "unknown-user"
MIN_EXTRANONCE_SIZE_TOO_LARGE = "min-extranonce-size-too-large"
UNSUPPORTED_MIN_EXTRANONCE_SIZE = "unsupported-min-extranonce-size"
MAX_TARGET_OUT_OF_RANGE = "max-target-out-of-range"

# OpenMiningChannel.Error and UpdateChannel.Error
INVALID_NOMINAL_HASHRATE = "invalid-nominal-hashrate"

# UpdateChannel.Error, SubmitShares.Error and SetCustomMiningJob.Error
INVALID_CHANNEL_ID = "invalid-channel-id"

# SubmitShares.Error
INVALID_SHARE = "invalid-share"
STALE_SHARE = "stale-share"  # of a job that a new previous hash ended
INVALID_JOB_ID = "invalid-job-id"
DIFFICULTY_TOO_LOW = "difficulty-too-low"  # hash above the job's target
DUPLICATE_SHARE = "duplicate-share"
BAD_EXTRANONCE_SIZE = "bad-extranonce-size"
VERSION_ROLLING_NOT_ALLOWED = "version-rolling-not-allowed"
INVALID_NON_ROLLABLE_VERSION_BIT = "invalid-non-rollable-version-bit"  # outside 0x1fffffe0

# SetCustomMiningJob.Error and DeclareMiningJob.Error
INVALID_MINING_JOB_TOKEN = "invalid-mining-job-token"
STALE_CHAIN_TIP = "stale-chain-tip"
INVALID_COINBASE_TX = "invalid-coinbase-tx"

# SetCustomMiningJob.Error
JD_NOT_SUPPORTED = "jd-not-supported"
JOB_NOT_YET_VALIDATED = "job-not-yet-validated"
INVALID_MIN_NTIME = "invalid-min-ntime"
INVALID_NBITS = "invalid-nbits"
INVALID_VERSION = "invalid-version"
INVALID_COINBASE_TX_VERSION = "invalid-coinbase-tx-version"
INVALID_COINBASE_PREFIX = "invalid-coinbase-prefix"
INVALID_COINBASE_TX_INPUT_N_SEQUENCE = "invalid-coinbase-tx-input-n-sequence"
INVALID_COINBASE_TX_OUTPUTS = "invalid-coinbase-tx-outputs"
INVALID_COINBASE_TX_LOCKTIME = "invalid-coinbase-tx-locktime"
INVALID_MERKLE_PATH = "invalid-merkle-path"

# DeclareMiningJob.Error
MISSING_TXS = "missing-txs"
INVALID_COINBASE_TX_INPUT = "invalid-coinbase-tx-input"
INTERNAL_ERROR = "internal-error"
INVALID_JOB = "invalid-job"

# RequestTransactionData.Error
STALE_TEMPLATE_ID = "stale-template-id"
TEMPLATE_ID_NOT_FOUND = "template-id-not-found"
