// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";
import {Sm2Curve} from "../libraries/Sm2Curve.sol";
import {Sm3} from "../libraries/Sm3.sol";

/// @title SM2 with SM3 (GB/T 32918.2, 32905) over a digest taken as the message, on chains that know neither.
/// @notice Key: x, y (64 bytes) of a signer with the customary identifier 1234567812345678. Signature: r, s (64 bytes). Message: the
///         32 bytes of `hash`, so that any SM2 signer, card or OpenSSL, signs it as it signs a text.
/// @dev Any key can be checked at once. One that signs more than once is better prepared: `prepare`, open to anyone, works out
///      what depends on the key alone, its ZA and table, and keeps them as the code of a contract of their own. Nothing that
///      a caller brings is believed, so a prepared key is judged exactly as one that is not.
contract Sm2Verifier is IERC7913SignatureVerifier {
    uint256 private constant _KEY = 64;
    uint256 private constant _SIGNATURE = 64;
    /// @dev What a prepared key's contract holds: a byte that stops whoever calls it, ZA, the table of 15 points.
    uint256 private constant _STORED = 1 + 32 + 960;

    mapping(bytes32 key => address) private _prepared;

    /// @notice A key's ZA and table were stored.
    event Sm2KeyPrepared(bytes32 indexed key, address stored);

    /// @notice The key has not 64 bytes, or is no point of the curve.
    error Sm2VerifierKey(bytes key);

    /// @notice The key was prepared before.
    error Sm2VerifierPrepared(address stored);

    /// @notice Nothing could be stored.
    error Sm2VerifierNotStored();

    /// @notice Work out once what every check of this key's signatures needs.
    /// @dev Reverts, in this order, with `Sm2VerifierKey`, `Sm2VerifierPrepared`, `Sm2VerifierNotStored`.
    function prepare(bytes calldata key) external {
        if (key.length != _KEY) revert Sm2VerifierKey(key);
        (uint256 x, uint256 y) = abi.decode(key, (uint256, uint256));
        if (!Sm2Curve.isOnCurve(x, y)) revert Sm2VerifierKey(key);
        bytes32 name = keccak256(key);
        if (_prepared[name] != address(0)) revert Sm2VerifierPrepared(_prepared[name]);
        // Creation code of 10 bytes, which returns the rest: PUSH2 993 DUP1 PUSH1 10 RETURNDATASIZE CODECOPY RETURNDATASIZE RETURN.
        bytes memory creation =
            bytes.concat(hex"6103e180600a3d393df3", hex"00", Sm3.zaOf(x, y), Sm2Curve.tableOf(x, y));
        address stored;
        assembly ("memory-safe") {
            stored := create(0, add(creation, 0x20), mload(creation))
        }
        if (stored == address(0)) revert Sm2VerifierNotStored();
        _prepared[name] = stored;
        emit Sm2KeyPrepared(name, stored);
    }

    /// @inheritdoc IERC7913SignatureVerifier
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (key.length != _KEY || signature.length != _SIGNATURE) return 0xffffffff;
        (uint256 r, uint256 s) = abi.decode(signature, (uint256, uint256));
        (bool known, bytes32 za, bytes memory table) = _partsOf(key);
        bool valid = known && Sm2Curve.verify(uint256(Sm3.hashPair(za, hash)), r, s, table);
        return valid ? IERC7913SignatureVerifier.verify.selector : bytes4(0xffffffff);
    }

    /// @notice Where a key's parts are stored; zero for one that was not prepared.
    function preparedAt(bytes calldata key) external view returns (address) {
        return _prepared[keccak256(key)];
    }

    /// @notice ZA of a key with the identifier 1234567812345678 (GB/T 32918.2 section 5.5).
    function zaOf(uint256 x, uint256 y) external pure returns (bytes32) {
        return Sm3.zaOf(x, y);
    }

    /// @return known Whether the key is a point of the curve.
    /// @return za Its ZA.
    /// @return table As Sm2Curve.tableOf makes it.
    function _partsOf(bytes calldata key) private view returns (bool known, bytes32 za, bytes memory table) {
        address stored = _prepared[keccak256(key)];
        if (stored == address(0)) {
            (uint256 x, uint256 y) = abi.decode(key, (uint256, uint256));
            if (!Sm2Curve.isOnCurve(x, y)) return (false, za, table);
            return (true, Sm3.zaOf(x, y), Sm2Curve.tableOf(x, y));
        }
        table = new bytes(_STORED - 33);
        assembly ("memory-safe") {
            // ZA to scratch, the table behind its length.
            extcodecopy(stored, 0x00, 1, 0x20)
            za := mload(0x00)
            extcodecopy(stored, add(table, 0x20), 33, sub(_STORED, 33))
        }
        known = true;
    }
}
