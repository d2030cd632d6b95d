"""Brings programs from the system's own package manager into `.toolchain/`, without root.

Debian and Ubuntu: apt downloads, with state and cache folders of its own, from the mirror that this machine is
configured for, and checks the signatures as ever. `dpkg -x` unpacks. Nothing is installed, no service is started.
A program from a newer suite needs that suite's C library; a wrapper starts it through that library's own loader.
macOS: `brew install`.

Standard library only.
"""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tools import toolchain

Command = Sequence[str | Path]
Run = Callable[[Command], str]
Say = Callable[[str], None]

# Where newer packages are, and the keyring that Debian and Ubuntu install.
_SUITES = {"debian": ("trixie", "forky", "sid"), "ubuntu": ("devel",)}
_COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
_KEYRING = "/usr/share/keyrings/{}-archive-keyring.gpg"
# How npm, apt and pip begin the line that says why; what comes last may be where a log is.
_ERRORS = ("npm error", "npm ERR!", "E:", "ERROR:")
_MACHINE_STATUS = "/var/lib/dpkg/status"


_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")


class Unavailable(RuntimeError):
    """The package manager cannot give this program; the message says why."""


class System:
    """The Debian or Ubuntu release below this machine, and its mirror."""

    def __init__(self, run: Run) -> None:
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise Unavailable("this system has no apt")
        release = _os_release()
        family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
        self.name = "ubuntu" if "ubuntu" in family else "debian"
        self.suite = release.get("UBUNTU_CODENAME") or release.get("VERSION_CODENAME") or "stable"
        self._mirror = self._find_mirror(run)

    def _find_mirror(self, run: Run) -> str:
        """The address that apt's own configuration gives for this suite, its main component."""
        fields = "$(ORIGIN)|$(RELEASE)|$(CODENAME)|$(REPO_URI)"
        command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages", "Component: main"]
        # Where package lists were never fetched, as in many containers, the sources show only without release info.
        targets = run(command) + run([*command, "--no-release-info"])
        rows = [line.split("|") for line in targets.splitlines() if line.count("|") == 3]
        mine = [row for row in rows if self.suite in row[1:3]] or [row for row in rows if row[1] in ("stable", "sid")]
        if not mine:
            raise Unavailable(f"apt is not configured for the suite {self.suite}")
        return min(mine, key=lambda row: self._is_foreign(row[0]))[3]

    def _is_foreign(self, origin: str) -> int:
        """Other vendors use Debian's suite names too. 0: not foreign; 1: not known; 2: foreign."""
        if origin.lower() == self.name:
            return 0
        return 1 if origin.startswith("$(") else 2

    def source(self, suite: str) -> str:
        """A line for sources.list."""
        keyring = _KEYRING.format(self.name)
        option = f"[signed-by={keyring}] " if os.path.exists(keyring) else ""
        return f"deb {option}{self._mirror} {suite} {_COMPONENTS[self.name]}\n"

    def suites(self) -> list[str]:
        """This machine's suite and the newer ones, oldest first."""
        newer = _SUITES[self.name]
        return list(newer) if self.suite in newer else [self.suite, *newer]


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text().splitlines()
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


class Apt:
    """apt with one suite and folders of its own. A context manager: the folders are gone at its end."""

    def __init__(self, system: System, suite: str, run: Run) -> None:
        self._system, self._suite, self._run = system, suite, run

    def __enter__(self) -> "Apt":
        toolchain.TOOLCHAIN.mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="apt-", dir=toolchain.TOOLCHAIN))
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "nothing").touch()
        shutil.copy(_MACHINE_STATUS, self._folder / "machine")  # a copy: the original is locked for all but root
        (self._folder / "sources.list").write_text(self._system.source(self._suite))
        try:
            self._run([*self._apt("apt-get"), "update"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _apt(self, program: str, installed: str = "nothing") -> list[str]:
        options = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": self._folder / installed,
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::sourcelist": self._folder / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "",
        }
        return [program, *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]

    def version(self, package: str) -> str:
        """The upstream version of a package here, or an empty string."""
        try:
            shown = self._run([*self._apt("apt-cache"), "show", "--no-all-versions", package])
        except subprocess.CalledProcessError:
            return ""
        full = next((line.split(": ")[1] for line in shown.splitlines() if line.startswith("Version: ")), "")
        return full.split(":")[-1].split("+")[0].split("-")[0]

    def unpack(self, package: str, into: Path, *, beside_machine: bool = False) -> None:
        """Unpack a package and all it depends on; `beside_machine`: only what this machine lacks of it."""
        installed = "machine" if beside_machine else "nothing"
        install = ["--yes", "--no-install-recommends", "--download-only", "install", package]
        self._run([*self._apt("apt-get", installed), *install])
        debs = sorted((self._folder / "cache" / "archives").glob("*.deb"))
        if not debs:
            raise Unavailable(f"apt downloaded nothing for {package}")
        into.mkdir(parents=True)
        for deb in debs:
            self._run(["dpkg", "-x", deb, into])


def write_wrapper(folder: Path, program: str) -> Path:
    """A script `folder/<program>` that starts the program unpacked in `folder/root` with the libraries beside it."""
    root = folder / "root"
    binary = _first(root, (f"usr/bin/{program}", f"usr/sbin/{program}"))
    if not binary:
        raise Unavailable(f"the package holds no program {program}")
    wrapper = folder / program
    _write_script(wrapper, f'here=$(dirname "$(readlink -f "$0")")\nexec {_start(folder, binary)} "$@"')
    return wrapper


def wrap_in_place(folder: Path, programs: Iterable[Path]) -> None:
    """The same for programs below `folder/root` that others start by their path: the script takes their place."""
    for program in programs:
        binary = program.parent / "elf" / program.name  # some look at their own name
        binary.parent.mkdir(exist_ok=True)
        program.rename(binary)
        up = "/".join([".."] * len(program.parent.relative_to(folder).parts))
        here = f'here=$(readlink -f "$(dirname "$(readlink -f "$0")")/{up}")'
        _write_script(program, f'{here}\nexec {_start(folder, binary)} "$@"')


def _start(folder: Path, binary: Path) -> str:
    """What a script says to start this program, with the folder in $here: by the loader beside it if there is one."""
    root = folder / "root"
    libraries = ":".join(f"$here/{path.relative_to(folder)}" for path in _library_folders(root))
    loader = _first(root, ("usr/lib*/ld-linux*", "lib*/ld-linux*", "usr/lib/*/ld-linux*", "lib/*/ld-linux*"))
    program = f'"$here/{binary.relative_to(folder)}"'
    if loader:
        return f'"$here/{loader.relative_to(folder)}" --library-path "{libraries}" {program}'
    return f'env LD_LIBRARY_PATH="{libraries}" {program}'


def _write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _first(root: Path, patterns: Iterable[str]) -> Path | None:
    return next((path for pattern in patterns for path in sorted(root.glob(pattern))), None)


def _library_folders(root: Path) -> list[Path]:
    found = {path.parent for pattern in ("lib*", "usr/lib*") for path in root.glob(f"{pattern}/**/*.so*")}
    return sorted(path for path in found if "gconv" not in path.parts)


def masked(text: str) -> str:
    """Without the user and password that the address of a private mirror may hold."""
    return _CREDENTIALS.sub("***@", text)


def reason(error: Exception) -> str:
    """In one line: what a command called an error or said last, or the error itself."""
    said = str(getattr(error, "output", None) or "").strip() or str(error).strip() or type(error).__name__
    lines = said.splitlines()
    return next((line for line in lines if line.startswith(_ERRORS)), lines[-1])


def _has_only_brew() -> bool:
    return bool(shutil.which("brew")) and not shutil.which("apt-get")


def bring_micropythons(run: Run, say: Say) -> None:
    """Every version of at least 1.23 that the suites have, each in `.toolchain/micropython-<version>/`."""
    if _has_only_brew():
        run(["brew", "install", "micropython"])
        return
    system = System(run)
    for suite in system.suites():
        try:
            version = _bring_micropython(system, suite, run)
        except (Unavailable, subprocess.SubprocessError, OSError) as error:
            say(f"{suite}: {reason(error)}")
            continue
        say(f"{suite}: MicroPython {version}")
        if suite not in (system.suite, "trixie"):
            break  # the newest there is; sid is only asked where forky fails


def _bring_micropython(system: System, suite: str, run: Run) -> str:
    with Apt(system, suite, run) as apt:
        version = apt.version("micropython")
        if _numbers(version) < toolchain.MINIMUM:
            raise Unavailable(f"no MicroPython of 1.23 or later (it has {version or 'none'})")
        place = toolchain.TOOLCHAIN / f"micropython-{version}"
        shutil.rmtree(place, ignore_errors=True)
        apt.unpack("micropython", place / "root")
        wrapper = write_wrapper(place, "micropython")
    if not toolchain.version_of(wrapper):
        shutil.rmtree(place)
        raise Unavailable(f"MicroPython {version} does not run here, or has no tls")
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def bring_mosquitto(run: Run, say: Say) -> None:
    """mosquitto of this machine's suite, in `.toolchain/mosquitto/`, with the libraries that the machine lacks."""
    if _has_only_brew():
        run(["brew", "install", "mosquitto"])
        return
    system = System(run)
    place = toolchain.TOOLCHAIN / "mosquitto"
    shutil.rmtree(place, ignore_errors=True)
    with Apt(system, system.suite, run) as apt:
        version = apt.version("mosquitto")
        apt.unpack("mosquitto", place / "root", beside_machine=True)
    wrapper = write_wrapper(place, "mosquitto")
    shown = subprocess.run([wrapper, "-h"], capture_output=True, text=True, timeout=20).stdout
    if "mosquitto version" not in shown:
        shutil.rmtree(place)
        raise Unavailable(f"mosquitto {version} does not run here")
    say(f"{system.suite}: mosquitto {version}")


def _link_libraries(root: Path, run: Run) -> None:
    """Give libraries the names that programs look for: some packages leave that to the system's ldconfig."""
    ldconfig = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if ldconfig:
        run([ldconfig, "-n", *_library_folders(root)])


def unpack_first(package: str, minimum: tuple[int, ...], root: Path, run: Run) -> str:
    """Unpack a package with all it needs, from the oldest suite that has at least `minimum`; return its version."""
    if _has_only_brew():
        raise Unavailable(f"brew install {package}")
    system = System(run)
    seen = []
    for suite in system.suites():
        try:
            with Apt(system, suite, run) as apt:
                version = apt.version(package)
                if _numbers(version) >= minimum:
                    apt.unpack(package, root)
                    _link_libraries(root, run)
                    return version
        except (Unavailable, subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(root, ignore_errors=True)
            version = reason(error)
        seen.append(f"{suite}: {version or 'none'}")
    wanted = ".".join(map(str, minimum))
    raise Unavailable(f"no {package} of {wanted} or later ({', '.join(seen)})")
