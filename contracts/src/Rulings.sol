// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRulings} from "./interfaces/IRulings.sol";
import {ActSignature} from "./libraries/ActSignature.sol";
import {Keys} from "./libraries/Keys.sol";

/// @title Rulings: see IRulings for what each call promises.
contract Rulings is IRulings {
    uint8 private constant _LEVEL_MAX = 8;
    uint8 private constant _SEATS_MAX = 64;
    uint40 private constant _DELAY_MIN = 1 hours;
    uint40 private constant _DELAY_MAX = 90 days;
    /// @dev A change nobody enacts in this time has to be announced again.
    uint40 private constant _GRACE = 30 days;
    uint40 private constant _CLOSED = 1;

    bytes32 private constant _NAME = keccak256("fuqi Rulings");
    bytes32 private constant _CASE_TAG = keccak256("fuqi/chain-case/v1");
    bytes32 private constant _RULING = keccak256(
        "Ruling(bytes32 docket,bytes32 subject,bytes32 award,uint8 outcome,uint8 level,bytes32 prev)"
    );
    bytes32 private constant _CHANGE =
        keccak256("SeatChange(uint8 bench,uint8 seat,bytes32 key,bytes32 previous,bytes32 salt)");
    bytes32 private constant _CANCEL = keccak256("CancelSeatChange(bytes32 change)");

    struct BenchState {
        uint8 filled;
        uint8 threshold;
        mapping(uint256 seat => bytes32) keys;
        mapping(bytes32 key => bool) seated;
    }

    mapping(bytes32 caseId => mapping(uint256 level => Record)) private _rulings;
    mapping(Bench => BenchState) private _benches;
    mapping(bytes32 change => uint40) private _readyAt;
    uint40 private _delay;

    /// @param arbitrators Key hashes, from seat 0.
    /// @param officers Key hashes, from seat 0.
    /// @param delay Seconds between the announcement of a change and its earliest enactment.
    constructor(
        bytes32[] memory arbitrators,
        uint8 arbitratorThreshold,
        bytes32[] memory officers,
        uint8 officerThreshold,
        uint40 delay
    ) {
        if (delay < _DELAY_MIN || delay > _DELAY_MAX) revert RulingsDelay(delay);
        _delay = delay;
        _fill(Bench.Arbitrators, arbitrators, arbitratorThreshold);
        _fill(Bench.Officers, officers, officerThreshold);
    }

    /// @inheritdoc IRulings
    function rule(Ruling calldata ruling, uint64 seats, bytes[] calldata signatures) external {
        uint8 level = ruling.level;
        if (ruling.outcome == Outcome.None || level == 0 || level > _LEVEL_MAX) {
            revert RulingsMalformed(ruling.outcome, level);
        }
        bytes32 caseId = caseOf(ruling.docket, ruling.subject);
        Record storage stored = _rulings[caseId][level];
        if (stored.outcome != Outcome.None) revert RulingsExists(caseId, level);
        bytes32 expected = 0;
        if (level > 1) {
            expected = _rulings[caseId][level - 1].digest;
            if (expected == 0) revert RulingsPrevious(ruling.prev, expected);
        }
        if (ruling.prev != expected) revert RulingsPrevious(ruling.prev, expected);
        bytes32 digest = digestOf(ruling);
        _requireSigned(Bench.Arbitrators, digest, seats, signatures);
        stored.digest = digest;
        stored.at = uint40(block.timestamp);
        stored.outcome = ruling.outcome;
        stored.seats = seats;
        emit RulingRecorded(caseId, level, ruling.subject, digest, ruling.award, ruling.outcome, seats);
    }

    /// @inheritdoc IRulings
    function propose(SeatChange calldata change, uint64 seats, bytes[] calldata signatures) external {
        bytes32 id = _changeOf(change);
        if (_readyAt[id] != 0) revert RulingsChange(id, _readyAt[id]);
        if (change.seat >= _SEATS_MAX || change.key == change.previous) revert RulingsSeat(change.seat);
        _requireSigned(Bench.Officers, id, seats, signatures);
        uint40 ready = uint40(block.timestamp) + _delay;
        _readyAt[id] = ready;
        emit SeatChangeProposed(id, change.bench, change.seat, change.key, ready);
    }

    /// @inheritdoc IRulings
    function cancel(SeatChange calldata change, uint64 seats, bytes[] calldata signatures) external {
        bytes32 id = _changeOf(change);
        _requireAnnounced(id);
        bytes32 digest = Keys.digest(_NAME, keccak256(abi.encode(_CANCEL, id)));
        _requireSigned(Bench.Officers, digest, seats, signatures);
        _readyAt[id] = _CLOSED;
        emit SeatChangeCancelled(id);
    }

    /// @inheritdoc IRulings
    function enact(SeatChange calldata change) external {
        bytes32 id = _changeOf(change);
        uint40 ready = _requireAnnounced(id);
        if (block.timestamp < ready || block.timestamp > ready + _GRACE) {
            revert RulingsChangeTime(ready, block.timestamp);
        }
        BenchState storage bench = _benches[change.bench];
        bytes32 holder = bench.keys[change.seat];
        if (holder != change.previous) revert RulingsSeatHolder(holder, change.previous);
        _readyAt[id] = _CLOSED;
        if (holder != 0) {
            bench.seated[holder] = false;
            --bench.filled;
        }
        if (change.key != 0) _seat(change.bench, change.seat, change.key);
        else bench.keys[change.seat] = 0;
        if (bench.filled < bench.threshold) revert RulingsBench(change.bench, bench.filled, bench.threshold);
        emit SeatChanged(change.bench, change.seat, change.key, holder);
    }

    /// @inheritdoc IRulings
    function rulingAt(bytes32 caseId, uint8 level) external view returns (Record memory) {
        return _rulings[caseId][level];
    }

    /// @inheritdoc IRulings
    function isLatest(Ruling calldata ruling) external view returns (bool) {
        mapping(uint256 level => Record) storage levels = _rulings[caseOf(ruling.docket, ruling.subject)];
        if (levels[ruling.level].digest != digestOf(ruling)) return false;
        return levels[uint256(ruling.level) + 1].outcome == Outcome.None;
    }

    /// @inheritdoc IRulings
    function seatOf(Bench bench, uint8 seat) external view returns (bytes32) {
        return _benches[bench].keys[seat];
    }

    /// @inheritdoc IRulings
    function benchOf(Bench bench) external view returns (uint8 filled, uint8 threshold) {
        return (_benches[bench].filled, _benches[bench].threshold);
    }

    /// @inheritdoc IRulings
    function readyAt(bytes32 change) external view returns (uint40) {
        return _readyAt[change];
    }

    /// @inheritdoc IRulings
    function caseOf(bytes32 docket, bytes32 subject) public pure returns (bytes32) {
        return keccak256(abi.encode(_CASE_TAG, docket, subject));
    }

    /// @inheritdoc IRulings
    function digestOf(Ruling calldata ruling) public view returns (bytes32) {
        return Keys.digest(_NAME, keccak256(abi.encode(_RULING, ruling)));
    }

    function _changeOf(SeatChange calldata change) private view returns (bytes32) {
        return Keys.digest(_NAME, keccak256(abi.encode(_CHANGE, change)));
    }

    function _requireAnnounced(bytes32 id) private view returns (uint40 ready) {
        ready = _readyAt[id];
        if (ready <= _CLOSED) revert RulingsChange(id, ready);
    }

    /// @dev Seats come as a bitmap, lowest first, so no seat can be counted twice.
    function _requireSigned(Bench bench, bytes32 digest, uint64 seats, bytes[] calldata signatures) private view {
        BenchState storage state = _benches[bench];
        uint256 count = 0;
        for (uint256 rest = seats; rest != 0; rest &= rest - 1) ++count;
        if (count < state.threshold) revert RulingsTooFew(count, state.threshold);
        if (count != signatures.length) revert RulingsSignatureCount(signatures.length, count);
        uint256 next = 0;
        for (uint256 seat = 0; next < count; ++seat) {
            if ((seats >> seat) & 1 == 0) continue;
            bytes32 signer = ActSignature.signerOfDigest(digest, signatures[next]);
            if (signer != state.keys[seat]) revert RulingsNotSeated(bench, seat, signer);
            ++next;
        }
    }

    function _fill(Bench bench, bytes32[] memory keys, uint8 threshold) private {
        uint256 count = keys.length;
        if (threshold == 0 || count < threshold || count > _SEATS_MAX) revert RulingsBench(bench, count, threshold);
        _benches[bench].threshold = threshold;
        for (uint8 seat = 0; seat < count; ++seat) {
            if (keys[seat] == 0) revert RulingsSeat(seat);
            _seat(bench, seat, keys[seat]);
            emit SeatChanged(bench, seat, keys[seat], 0);
        }
    }

    function _seat(Bench bench, uint8 seat, bytes32 key) private {
        BenchState storage state = _benches[bench];
        if (state.seated[key]) revert RulingsSeated(bench, key);
        state.seated[key] = true;
        state.keys[seat] = key;
        ++state.filled;
    }
}
