"""An invented verification and delivery service, a process of its own. It answers by the words in a name.

python identity_service.py PORT SECRET_FILE LOG_FILE
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from signing.providers import identity_wire as wire
from signing.verification import Status

WORDS = {"不符": "mismatch", "无记录": "no_record", "稍后": "pending", "故障": "source_down"}
LATER_SECONDS = 0.3


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.endswith("/messages"):
            asked = wire.open_sealed(body, tag=wire.MESSAGE_TAG, secret=server.secret)
            answer = {"v": wire.SENT_TAG, "message": asked["message"]}
        else:
            asked = wire.open_sealed(body, tag=wire.REQUEST_TAG, secret=server.secret)
            answer = self.answer_to(asked)
        with server.log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asked) + "\n")
        data = wire.seal(answer, secret=server.secret)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def answer_to(self, asked: dict) -> dict:
        name = asked["factors"].get("name", "")
        status = next((out for word, out in WORDS.items() if word in name), "match")
        now = datetime.now(UTC).replace(microsecond=0)
        found = wire.Answer(asked["request"], asked["nonce"], Status(status), now, "invented-7")
        if status == "pending":
            threading.Thread(target=self.call_back, args=(asked,), daemon=True).start()
        return wire.answer_document(found, sent_at=now)

    def call_back(self, asked: dict) -> None:
        time.sleep(LATER_SECONDS)
        now = datetime.now(UTC).replace(microsecond=0)
        found = wire.Answer(asked["request"], asked["nonce"], Status.MATCH, now, "invented-8")
        data = wire.seal(wire.answer_document(found, sent_at=now), secret=self.server.secret)
        for _ in range(2):  # twice: a service that did not hear our answer sends it again
            request = urllib.request.Request(
                asked["callback"], data, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200

    def log_message(self, *_arguments: object) -> None:
        pass


def main() -> None:
    port, secret, log = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.secret = secret.read_text("ascii").strip().encode("ascii")
    server.log = log
    log.touch()
    server.serve_forever()


if __name__ == "__main__":
    main()
