"""Commands in a running container."""

from container import IMAGE, RUNS, ready
from stream import read_all, spoken


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    it = client.containers.run(IMAGE, RUNS, name="executes", detach=True)
    ready(it)
    both = ["sh", "-c", "echo out; echo err >&2; exit 7"]
    step("execution.plain", lambda: it.exec_run(both), lambda got: [got.exit_code, sorted(got.output.splitlines())])
    step("execution.demux", lambda: it.exec_run(both, demux=True), list)
    step("execution.text", lambda: it.exec_run("echo one two"), list)
    step("execution.stream", lambda: b"".join(it.exec_run(["seq", "1", "5"], stream=True).output))
    step("execution.stream.demux", lambda: [piece for piece in it.exec_run(["echo", "one"], stream=True, demux=True).output])
    step("execution.detach", lambda: it.exec_run(["true"], detach=True), lambda got: got.output)
    step("execution.options", lambda: it.exec_run(["sh", "-c", "id -un; pwd; echo $WORD"], user="app", environment={"WORD": "said"}), list)
    step("execution.folder", lambda: it.exec_run(["pwd"], workdir="/etc"), list)
    step("execution.privileged", lambda: it.exec_run(["grep", "CapEff", "/proc/self/status"], privileged=True), lambda got: got.exit_code)
    step("execution.terminal", lambda: it.exec_run(["sh", "-c", "tty; exit 2"], tty=True), list)
    step("execution.absent", lambda: it.exec_run(["absent"]), list)
    step("execution.user", lambda: it.exec_run(["true"], user="nobodyhere"), list)
    socket = step("execution.socket", lambda: it.exec_run(["sh", "-c", "read line; echo got $line"], stdin=True, socket=True).output, lambda got: type(got).__name__)
    if socket:
        getattr(socket, "_sock", socket).sendall(b"a line\n")
        step("execution.socket.said", lambda: read_all(socket), spoken)
    socket = step("execution.socket.terminal", lambda: it.exec_run(["sh", "-c", "read line; echo got $line"], stdin=True, tty=True, socket=True).output,
                  lambda got: type(got).__name__)
    if socket:
        getattr(socket, "_sock", socket).sendall(b"typed\n")
        step("execution.socket.terminal.said", lambda: read_all(socket))
    made = client.api.exec_create("executes", ["sh", "-c", "exit 9"])
    step("execution.inspect.before", lambda: client.api.exec_inspect(made["Id"]))
    step("execution.start", lambda: client.api.exec_start(made["Id"]))
    step("execution.inspect", lambda: client.api.exec_inspect(made["Id"]))
    step("execution.start.again", lambda: client.api.exec_start(made["Id"]))
    step("execution.inspect.absent", lambda: client.api.exec_inspect("absent"))
    it.kill()
    it.wait()
    step("execution.stopped", lambda: it.exec_run(["true"]))
    it.remove()
