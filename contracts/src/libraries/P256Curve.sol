// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title ECDSA over P-256: the chain's own precompile where there is one, OpenZeppelin's Solidity elsewhere.
/// @dev The precompile (EIP-7951, address 0x100) answers a bad signature exactly as an empty address answers: with
///      nothing. So whether it is there is found out once, at deployment, by a signature known to be good and one
///      known to be bad, and stored; it is never guessed from one answer.
library P256Curve {
    address private constant _PRECOMPILE = address(0x100);
    uint256 private constant _HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8;

    // Wycheproof ecdsa_secp256r1_sha256_p1363_test.json, message 123400, r = 5, s = 1.
    bytes32 private constant _KNOWN_HASH = 0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023;
    bytes32 private constant _KNOWN_X = 0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957;
    bytes32 private constant _KNOWN_Y = 0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b;

    /// @notice Whether this chain has the precompile: it accepts the good signature and not the bad one.
    function hasPrecompile() internal view returns (bool) {
        return _precompiled(_KNOWN_HASH, bytes32(uint256(5)), bytes32(uint256(1)), _KNOWN_X, _KNOWN_Y)
            && !_precompiled(_KNOWN_HASH, bytes32(uint256(5)), bytes32(uint256(2)), _KNOWN_X, _KNOWN_Y);
    }

    /// @notice Whether (r, s) over `hash` was made by the key (x, y).
    /// @dev A signature has two forms, s and order - s; only the lower is accepted. The range of r and s and the
    ///      key's place on the curve are checked by the precompile and by the library alike.
    /// @param native What `hasPrecompile` said at deployment.
    function verify(bool native, bytes32 hash, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        internal
        view
        returns (bool)
    {
        if (uint256(s) > _HALF_ORDER) return false;
        return native ? _precompiled(hash, r, s, x, y) : P256.verifySolidity(hash, r, s, x, y);
    }

    function _precompiled(bytes32 hash, bytes32 r, bytes32 s, bytes32 x, bytes32 y) private view returns (bool) {
        (bool done, bytes memory answer) = _PRECOMPILE.staticcall(abi.encode(hash, r, s, x, y));
        return done && answer.length == 32 && bytes32(answer) == bytes32(uint256(1));
    }
}
