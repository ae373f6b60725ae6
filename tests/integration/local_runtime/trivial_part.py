"""A part for tests: serves HTTP on 127.0.0.1, or fails in the way its second argument says."""

import http.server
import signal
import subprocess
import sys
import time


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        return


def main(port: int, behaviour: str) -> None:
    sys.stderr.write(f"part on {port} says hello\n")
    if behaviour == "dies":
        sys.exit("the disk is on fire")
    if behaviour == "never-serves":
        time.sleep(600)
    if behaviour == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "has-workers":
        # One in its group, one in a session of its own, as a daemon would be.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
