"""The rows of builds: `image build` and `docker build` (BuildKit) of the same folders."""

import os
import time

FILES = 20_000


def folder(work, name, dockerfile):
    place = os.path.join(work, "projects", name)
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "Dockerfile"), "w") as file:
        file.write(dockerfile)
    return place


def many(place):
    """So many small files, a hundred a folder."""
    for number in range(FILES):
        own = os.path.join(place, f"d{number // 100}")
        os.makedirs(own, exist_ok=True)
        with open(os.path.join(own, f"f{number}"), "w") as file:
            file.write(f"{number}\n" * 100)


def rows(work, image, gantry, docker, wanted, measure):
    """`docker` is the command line itself, with buildx beside it."""
    build = {gantry: ["image", "build", "-q"], docker: ["build", "-q"]}

    def built(place, *flags):
        return lambda side: side.run([*build[side], *flags, "-t", "bench", "."], place)

    runs = folder(work, "build-run", f"FROM {image}\nRUN echo one >/one\nRUN echo two >/two\nRUN echo three >/three\n")
    measure("build-run", None, built(runs, "--no-cache"), None)
    measure("build-cached", built(runs), built(runs), None)

    if wanted("build-context"):
        context = folder(work, "build-context", f"FROM {image}\nCOPY . /src\n")
        many(context)

        def change(side):
            built(context)(side)
            with open(os.path.join(context, "d7/f700"), "w") as file:
                file.write(f"{side.name} {time.time_ns()}\n")

        measure("build-context", change, built(context), None)

    stages = "".join(f"FROM {image} AS s{number}\nRUN echo {number} >/out\nRUN echo {number} >>/out\n" for number in range(8))
    copies = "".join(f"COPY --from=s{number} /out /out{number}\n" for number in range(8))
    eight = folder(work, "build-stages", f"{stages}FROM {image}\n{copies}")
    measure("build-stages", None, built(eight, "--no-cache"), None)
