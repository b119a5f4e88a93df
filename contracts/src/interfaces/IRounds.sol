// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Allocation rounds whose optimality the chain decides by arithmetic.
/// @notice An opener commits to a round's inputs and policy before solving. The result is then either proved at once
///         (`prove`, small rounds) or posted, and stands after a day unless somebody shows one fault (`strike`).
///         The problem: rows (supplies), columns (demands) and a weight for each pair; maximise the weight moved. A pair
///         of weight 0 is not eligible. Nobody is trusted: every act is signed by the opener, whoever relays it, and
///         faults need no signature at all.
/// @dev What a final posted result says: with the roots opened here, nobody who holds the round's data showed a
///      fault within the window. Whoever lacks the data (it is published with the round's entries) must treat it as unproven.
interface IRounds {
    /// @notice Where a round stands. `Final`: unchallenged through the window. `Proven`: the chain checked it whole.
    enum State {
        None,
        Open,
        Posted,
        Final,
        Proven
    }

    /// @notice The kinds of fault; libraries/RoundFaults.sol says what each witness holds.
    enum Fault {
        Edge,
        Slack,
        Row,
        Column,
        Total,
        Cell,
        Step,
        Node,
        Padding
    }

    /// @notice A round.
    /// @param inputsRoot Commitment to sizes, supplies, demands and weights.
    /// @param planRoot The newest posted or proved plan; of a struck one until the next.
    /// @param objective Its value.
    /// @param closesAt From when a posted result can become final, seconds since 1970.
    /// @param attempt Number of results struck so far.
    struct Round {
        bytes32 inputsRoot;
        bytes32 planRoot;
        uint128 objective;
        uint40 closesAt;
        uint32 attempt;
        State state;
    }

    /// @notice The inputs of a small round, four numbers below 2**62 to a word, each row of weights from a new word.
    struct Instance {
        uint256 rows;
        uint256 columns;
        uint256[] supplies;
        uint256[] demands;
        uint256[] weights;
    }

    /// @notice A plan and its prices.
    /// @param flows Two to a word, the first on the left: row (32 bits), column (32), units (64); ascending.
    struct Answer {
        uint256[] flows;
        uint256[] rowPrices;
        uint256[] columnPrices;
    }

    /// @notice What `inputsRoot` (first five) and `planRoot` (last five) are hashed from.
    /// @param units Units moved by the whole plan.
    struct Opening {
        uint256 rows;
        uint256 columns;
        bytes32 supplyRoot;
        bytes32 demandRoot;
        bytes32 weightRoot;
        bytes32 rowPriceRoot;
        bytes32 columnPriceRoot;
        bytes32 columnTotalRoot;
        bytes32 cellRoot;
        uint128 units;
    }

    /// @notice One fault, and the words and paths that show it.
    struct Witness {
        Fault fault;
        uint256 row;
        uint256 column;
        uint256[] words;
        bytes32[] path;
    }

    /// @notice A round was opened; nothing is solved yet.
    event RoundOpened(bytes32 indexed round, bytes32 indexed opener, bytes32 inputsRoot, bytes32 policyHash);

    /// @notice A result was posted and can be struck until `closesAt`.
    event RoundPosted(bytes32 indexed round, uint32 indexed attempt, bytes32 planRoot, uint128 objective, uint40 closesAt);

    /// @notice A posted result was shown to be false; the round is open again.
    event RoundStruck(bytes32 indexed round, uint32 indexed attempt, Fault fault, uint256 row, uint256 column);

    /// @notice Nobody showed a fault in time.
    event RoundFinalised(bytes32 indexed round, bytes32 planRoot, uint128 objective);

    /// @notice The chain itself checked that this plan is optimal.
    event RoundProven(bytes32 indexed round, bytes32 planHash, uint128 objective);

    /// @notice The round is not one of this signer with these inputs and this policy.
    error RoundsUnauthorized(bytes32 round, bytes32 signedRound);

    /// @notice The round does not stand where this act needs it.
    error RoundsState(bytes32 round, State state);

    /// @notice Both objectives must be equal; a plan that does not reach its bound proves nothing.
    error RoundsGap(uint128 primal, uint128 dual);

    /// @notice The signed act is about another attempt than the present one.
    error RoundsAttempt(uint32 attempt, uint32 expected);

    /// @notice These inputs are not the committed ones.
    error RoundsInputs(bytes32 found, bytes32 committed);

    /// @notice This opening is not of the posted plan.
    error RoundsPlan(bytes32 found, bytes32 committed);

    /// @notice The witness is true to the committed data and shows no fault.
    error RoundsNoFault(Fault fault, uint256 row, uint256 column);

    /// @notice The window is still open (`finalise`), or over (`strike`).
    error RoundsWindow(uint40 closesAt, uint256 time);

    /// @notice Commit to inputs and policy. Signed: `Open(bytes32 inputsRoot,bytes32 policyHash)`.
    /// @dev Reverts with `ActSignatureInvalid`, `RoundsUnauthorized`, `RoundsState`.
    /// @param round `roundOf(signer, inputsRoot, policyHash)`; so nobody can take another's round.
    function open(bytes32 round, bytes32 inputsRoot, bytes32 policyHash, bytes calldata signature) external;

    /// @notice Post a result. Signed: `Post(bytes32 round,bytes32 planRoot,uint128 primal,uint128 dual,uint32 attempt)`.
    /// @dev Reverts with `RoundsGap`, `RoundsState`, `RoundsAttempt`, `RoundsInputs`, `TransportSize`,
    ///      `ActSignatureInvalid`, `RoundsUnauthorized`. The roots arrive opened, so nobody can post a hash of nothing.
    function post(
        bytes32 round,
        bytes32 policyHash,
        Opening calldata opening,
        uint128 primal,
        uint128 dual,
        uint32 attempt,
        bytes calldata signature
    ) external;

    /// @notice Check a whole small round. Signed: `Prove(bytes32 round,bytes32 planHash)`, so that of several optimal
    ///         plans the opener's counts.
    /// @dev Reverts with `RoundsState`, `Transport...`, `RoundsInputs`, `ActSignatureInvalid`, `RoundsUnauthorized`.
    function prove(
        bytes32 round,
        bytes32 policyHash,
        Instance calldata instance,
        Answer calldata answer,
        bytes calldata signature
    ) external;

    /// @notice Show one fault of the posted result; anyone may.
    /// @dev Reverts with `RoundsState`, `RoundsWindow`, `RoundsInputs`, `RoundsPlan`, `RoundFaults...`,
    ///      `RoundTables...`, `RoundsNoFault`.
    function strike(bytes32 round, Opening calldata opening, Witness calldata witness) external;

    /// @notice Let a posted result stand after the window; anyone may.
    /// @dev Reverts with `RoundsState`, `RoundsWindow`.
    function finalise(bytes32 round) external;

    /// @notice The round as stored.
    function roundAt(bytes32 round) external view returns (Round memory);

    /// @notice The only id under which this opener can open these inputs.
    function roundOf(bytes32 opener, bytes32 inputsRoot, bytes32 policyHash) external pure returns (bytes32);
}
