// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LogEntry} from "../../src/libraries/LogEntry.sol";
import {Cheats} from "../Cheats.sol";

contract LogEntryHarness {
    function leaf(bytes calldata before, bytes32 committed, bytes calldata afterwards) external pure returns (bytes32) {
        return LogEntry.leaf(before, committed, afterwards);
    }

    function commitment(bytes32 salt, bytes32 doc, bytes32 parties, bytes32 prev) external pure returns (bytes32) {
        return LogEntry.commitment(salt, doc, parties, prev);
    }
}

contract LogEntryTest is Cheats {
    LogEntryHarness private _harness = new LogEntryHarness();

    /// @dev By Python: hmac.new(salt, body, "sha256"), salt = 00 .. 1f, digests 11.., ab.., 00.. .
    function test_TheCommitmentIsTheHmacThatTheVaultMakes() public view {
        bytes32 salt = 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;
        bytes32 doc = 0x1111111111111111111111111111111111111111111111111111111111111111;
        bytes32 parties = 0xabababababababababababababababababababababababababababababababab;
        same(_harness.commitment(salt, doc, parties, 0), 0xef1e67c94afc62265a0a75fdbef51a0c1d85dd053cb2b47c426761ee5de186bc);
    }

    function test_TheLeafIsTheHashOfTheEntryItself() public view {
        bytes memory entry =
            '{"actor":"system","commitments":{"body":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"},"v":"x"}';
        bytes32 committed = 0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd;
        bytes32 found = _harness.leaf('{"actor":"system",', committed, ',"v":"x"}');
        same(found, sha256(bytes.concat(hex"00", entry)));
    }

    function testFuzz_EveryPartIsCommittedTo(bytes32 salt, bytes32 doc, bytes32 parties, bytes32 prev) public view {
        vm.assume(doc != parties && parties != prev && doc != prev);
        bytes32 found = _harness.commitment(salt, doc, parties, prev);
        isTrue(found != _harness.commitment(~salt, doc, parties, prev));
        isTrue(found != _harness.commitment(salt, parties, doc, prev));
        isTrue(found != _harness.commitment(salt, doc, prev, parties));
        isTrue(found != _harness.commitment(salt, doc, parties, ~prev));
    }

    /// @dev Every digit in every place, against a loop over the nibbles.
    function testFuzz_TheDigitsAreThoseOfAPlainLoop(bytes32 value) public view {
        bytes memory digits = new bytes(64);
        for (uint256 i = 0; i < 64; ++i) {
            uint8 nibble = uint8(value[i / 2]) >> (i % 2 == 0 ? 4 : 0) & 0x0f;
            digits[i] = bytes1(nibble < 10 ? 0x30 + nibble : 0x57 + nibble);
        }
        bytes memory entry = bytes.concat('"commitments":{"body":"', digits, '"}');
        same(_harness.leaf("", value, ""), sha256(bytes.concat(hex"00", entry)));
    }
}
