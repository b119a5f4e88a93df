// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Rulings of an arbitration institution, signed by at least k of its seated arbitrators.
/// @notice A ruling adds state; nothing here changes or removes a ruling or any evidence. An appeal is a ruling of the next
///         higher level that names the ruling before it.
interface IRulings {
    /// @notice What a ruling does. `None` is no ruling.
    enum Outcome {
        None,
        Upheld,
        SetAside,
        FreezeLot,
        ReleaseLot
    }

    /// @notice Who sits where: arbitrators rule, officers of the institution change seats.
    enum Bench {
        Arbitrators,
        Officers
    }

    /// @notice What the arbitrators sign.
    /// @param docket Salted commitment to the institution's case number.
    /// @param subject What is ruled on: an entry's leaf, a record or a lot. With `docket` it makes the case.
    /// @param award Digest of the signed award.
    /// @param level 1 for the first instance, one more for each appeal, at most 8.
    /// @param prev Digest of the ruling one level below; zero at level 1.
    struct Ruling {
        bytes32 docket;
        bytes32 subject;
        bytes32 award;
        Outcome outcome;
        uint8 level;
        bytes32 prev;
    }

    /// @notice A ruling as stored.
    /// @param digest EIP-712 digest of the `Ruling`: the very bytes that were signed.
    /// @param at Time of the block, seconds since 1970.
    /// @param seats Bit i: the arbitrator on seat i signed.
    struct Record {
        bytes32 digest;
        uint40 at;
        Outcome outcome;
        uint64 seats;
    }

    /// @notice A change of one seat.
    /// @param seat 0 .. 63.
    /// @param key Key hash of the new holder; zero empties the seat.
    /// @param previous Key hash that sits there when the change is enacted; zero for an empty seat.
    /// @param salt Makes a change that is repeated later another change.
    struct SeatChange {
        Bench bench;
        uint8 seat;
        bytes32 key;
        bytes32 previous;
        bytes32 salt;
    }

    /// @notice A ruling was recorded.
    event RulingRecorded(
        bytes32 indexed caseId, uint8 indexed level, bytes32 indexed subject, bytes32 digest, bytes32 award, Outcome outcome, uint64 seats
    );

    /// @notice Officers announced a change; it can be enacted from `readyAt`.
    event SeatChangeProposed(bytes32 indexed change, Bench bench, uint8 seat, bytes32 key, uint40 readyAt);

    /// @notice Officers withdrew an announced change.
    event SeatChangeCancelled(bytes32 indexed change);

    /// @notice A seat changed hands.
    event SeatChanged(Bench indexed bench, uint8 indexed seat, bytes32 key, bytes32 previous);

    /// @notice No such outcome or level.
    error RulingsMalformed(Outcome outcome, uint8 level);

    /// @notice There is a ruling of this case at this level.
    error RulingsExists(bytes32 caseId, uint8 level);

    /// @notice `prev` is not the ruling one level below.
    error RulingsPrevious(bytes32 prev, bytes32 expected);

    /// @notice Fewer signers than the bench demands.
    error RulingsTooFew(uint256 signers, uint256 threshold);

    /// @notice Not one signature for each named seat.
    error RulingsSignatureCount(uint256 signatures, uint256 seats);

    /// @notice The signature at this seat is not of the key that sits there.
    error RulingsNotSeated(Bench bench, uint256 seat, bytes32 signer);

    /// @notice A bench that cannot work: no threshold, more than 64 seats, or fewer seats than the threshold.
    error RulingsBench(Bench bench, uint256 seats, uint256 threshold);

    /// @notice This key already sits on the bench; two seats in one hand would be one person counted twice.
    error RulingsSeated(Bench bench, bytes32 key);

    /// @notice No such seat, or a change that changes nothing.
    error RulingsSeat(uint8 seat);

    /// @notice The seat is held by another key than the change names.
    error RulingsSeatHolder(bytes32 holder, bytes32 named);

    /// @notice The change is already known (`propose`), or not announced (`enact`, `cancel`).
    error RulingsChange(bytes32 change, uint40 readyAt);

    /// @notice The change is not ready yet, or was left lying too long.
    error RulingsChangeTime(uint40 readyAt, uint256 time);

    /// @notice The delay is not between 1 hour and 90 days.
    error RulingsDelay(uint40 delay);

    /// @notice Record a ruling. Signed: `Ruling(bytes32 docket,bytes32 subject,bytes32 award,uint8 outcome,uint8 level,bytes32 prev)`.
    /// @dev Reverts, in this order, with `RulingsMalformed`, `RulingsExists`, `RulingsPrevious`, `RulingsTooFew`,
    ///      `RulingsSignatureCount`, `ActSignatureInvalid`, `RulingsNotSeated`.
    /// @param seats Bit i: seat i signs. Distinct by construction.
    /// @param signatures One for each set bit, lowest seat first.
    function rule(Ruling calldata ruling, uint64 seats, bytes[] calldata signatures) external;

    /// @notice Announce a change of a seat. Signed by officers: `SeatChange(uint8 bench,uint8 seat,bytes32 key,bytes32 previous,bytes32 salt)`.
    function propose(SeatChange calldata change, uint64 seats, bytes[] calldata signatures) external;

    /// @notice Withdraw an announced change. Signed by officers: `CancelSeatChange(bytes32 change)`.
    function cancel(SeatChange calldata change, uint64 seats, bytes[] calldata signatures) external;

    /// @notice Make an announced change after the delay; anyone may.
    function enact(SeatChange calldata change) external;

    /// @notice The ruling of a case at a level; `outcome` is `None` when there is none.
    function rulingAt(bytes32 caseId, uint8 level) external view returns (Record memory);

    /// @notice Whether this is the recorded ruling of its case and level, and no higher level has ruled.
    function isLatest(Ruling calldata ruling) external view returns (bool);

    /// @notice The case that a docket and a subject make.
    function caseOf(bytes32 docket, bytes32 subject) external pure returns (bytes32);

    /// @notice What the arbitrators sign.
    function digestOf(Ruling calldata ruling) external view returns (bytes32);

    /// @notice Who sits there; zero when the seat is empty.
    function seatOf(Bench bench, uint8 seat) external view returns (bytes32);

    /// @notice Filled seats and signatures needed.
    function benchOf(Bench bench) external view returns (uint8 filled, uint8 threshold);

    /// @notice From when an announced change can be enacted; 0 = never announced, 1 = enacted or cancelled.
    function readyAt(bytes32 change) external view returns (uint40);
}
