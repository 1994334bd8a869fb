"""Install mmcv with compiled operators that fit the torch of the Python that runs this.

It takes, in this order: the mmcv that is installed, a wheel that an earlier run compiled, a wheel in UV_FIND_LINKS;
whichever is first to compute a modulated deformable convolution here, on the GPU too when there is one with a CUDA
compiler. Otherwise it compiles one and keeps it in ~/.cache/satvsr_plugin (XDG_CACHE_HOME is honoured).

    python scripts/install_mmcv.py

It needs torch, and it uses the standard library only, since it runs before this package can be imported.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MMCV = '2.2.0'
PROBES = Path(__file__).resolve().parents[1] / 'satvsr_plugin' / 'doctor_probes.py'
SYSTEM_CUDA = Path('/usr/local/cuda')
GIB = 2**30


class SetupError(Exception):
    """The set-up cannot go on; ``code`` is the exit code: 2 when the machine lacks something, 1 otherwise."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Target:
    """What the operators must be compiled for.

    Attributes:
        torch: full version, e.g. '2.13.0+cu130'; a wheel loads with this one only.
        cuda_home: folder of the CUDA compiler; None for operators on the CPU only.
        archs: compute capabilities of the GPUs that are here, e.g. ('9.0',).
    """

    torch: str
    cuda_home: Path | None = None
    archs: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        return ('cpu', 'cuda') if self.cuda_home else ('cpu',)

    @property
    def cache(self) -> Path:
        """Folder of the wheel that was compiled for this target."""
        base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
        device = 'cuda-' + '-'.join(self.archs) if self.cuda_home else 'cpu'
        python = f'cp{sys.version_info.major}{sys.version_info.minor}-{sysconfig.get_platform()}'
        return base / 'satvsr_plugin' / f'mmcv-{MMCV}' / f'torch-{self.torch}-{device}-{python}'


def run_probe(*arguments: str) -> tuple[bool, str]:
    """Run a probe; whether it worked, and its output or the last line of its error."""
    result = subprocess.run([sys.executable, str(PROBES), *arguments], capture_output=True, text=True)
    if result.returncode == 0:
        return True, result.stdout
    return False, (result.stderr.strip().splitlines() or [f'ended with {result.returncode}'])[-1]


def find_target() -> Target:
    """Look at torch, the GPUs and the CUDA compiler."""
    works, output = run_probe('torch')
    if not works:
        raise SetupError(f'torch does not work in {sys.executable}: {output}; install it first')
    facts = json.loads(output)
    if not facts['gpus']:
        return Target(facts['version'])
    cuda_home, problem = find_cuda_compiler(facts['cuda'])
    if cuda_home is None:
        say(f'A GPU is here, but {problem}. mmcv gets its CPU operators only, and networks on the GPU use '
            f'torchvision\'s operator. To change that, install the CUDA {facts["cuda"]} toolkit and run this again.')
        return Target(facts['version'])
    return Target(facts['version'], cuda_home, tuple(sorted({gpu['capability'] for gpu in facts['gpus']})))


def find_cuda_compiler(cuda: str) -> tuple[Path | None, str]:
    """The toolkit that fits torch's CUDA version (same major number, as torch demands), or None and the reason."""
    on_path = shutil.which('nvcc')
    candidates = [os.environ.get('CUDA_HOME'), os.environ.get('CUDA_PATH'),
                  Path(on_path).resolve().parents[1] if on_path else None, SYSTEM_CUDA]
    problem = 'no CUDA compiler (nvcc) was found'
    for home in (Path(candidate) for candidate in candidates if candidate):
        nvcc = home / 'bin' / 'nvcc'
        if not nvcc.exists() or not (home / 'include' / 'cuda_runtime.h').exists():
            continue
        output = subprocess.run([str(nvcc), '--version'], capture_output=True, text=True).stdout
        found = re.search(r'release (\d+)\.\d+', output)
        if found and found.group(1) == cuda.split('.')[0]:
            return home, ''
        problem = f'{nvcc} is not of CUDA {cuda}, for which torch was built'
    return None, problem


def problem_of_installed(target: Target) -> str | None:
    """Why the installed mmcv is of no use here; None when it works on every device of the target."""
    try:
        version = importlib.metadata.version('mmcv')
    except importlib.metadata.PackageNotFoundError:
        return 'since it is not installed'
    if version != MMCV:
        return f'since it is mmcv {version}'
    for device in target.devices:
        works, reason = run_probe('dcn', 'mmcv', device)
        if not works:
            return f'on {device}: {reason}'
    return None


def pip(verb: str, *arguments: str) -> list[str]:
    """The command that runs pip of this Python, with the folders of UV_FIND_LINKS."""
    links = [link for link in os.environ.get('UV_FIND_LINKS', '').split(',') if link]
    return [sys.executable, '-m', 'pip', verb, *(f'--find-links={link}' for link in links), *arguments]


def install(*what: str) -> bool:
    """Put another mmcv in the place of the installed one; pip alone would keep one of the same version."""
    subprocess.run([sys.executable, '-m', 'pip', 'uninstall', '--quiet', '--yes', 'mmcv'], capture_output=True)
    return subprocess.run(pip('install', '--quiet', *what), capture_output=True).returncode == 0


def take_ready_wheel(target: Target) -> bool:
    """Install a wheel from the cache or from UV_FIND_LINKS if one works here."""
    sources = [('the wheel kept by an earlier run', [str(wheel)]) for wheel in sorted(target.cache.glob('*.whl'))]
    if os.environ.get('UV_FIND_LINKS'):
        sources.append(('the wheel in UV_FIND_LINKS', ['--only-binary=mmcv', f'mmcv=={MMCV}']))
    for name, what in sources:
        if not install(*what):
            continue  # none for this Python and machine
        problem = problem_of_installed(target)
        if problem is None:
            say(f'mmcv {MMCV}: took {name}.')
            return True
        say(f'mmcv {MMCV}: {name} does not work with torch {target.torch} {problem}; leaving it.')
    return False


def check_compiler() -> None:
    """Raise SetupError when a program or header that the compilation needs is missing."""
    compiler = os.environ.get('CXX', 'c++').split()[0]
    if shutil.which(compiler) is None:
        raise SetupError(f'mmcv must be compiled, and there is no C++ compiler ({compiler}); '
                         'install one, e.g. "apt install g++", and run this again', 2)
    header = Path(sysconfig.get_path('include')) / 'Python.h'
    if not header.exists():
        raise SetupError(f'mmcv must be compiled, and {header} is missing; install the headers of this Python, '
                         f'e.g. "apt install python3.{sys.version_info.minor}-dev", and run this again', 2)


def count_jobs(cores: int, memory: int, cuda: bool) -> int:
    """Compilations at a time: one a core, with 2 GiB each (4 GiB for CUDA). ``memory`` in bytes."""
    return max(1, min(cores, memory // ((4 if cuda else 2) * GIB)))


def available_memory() -> int:
    """Bytes that this process may still take, by the machine and by its container."""
    meminfo = Path('/proc/meminfo')
    if not meminfo.exists():  # not Linux: half of what is built in
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2
    free = int(re.search(r'MemAvailable:\s+(\d+) kB', meminfo.read_text()).group(1)) * 1024
    limit = Path('/sys/fs/cgroup/memory.max')
    text = limit.read_text().strip() if limit.exists() else 'max'
    return free if text == 'max' else min(free, int(text))


def build_environment(target: Target) -> dict[str, str]:
    """Environment variables that mmcv's setup.py and torch's build read."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    jobs = count_jobs(cores, available_memory(), target.cuda_home is not None)
    env = os.environ | {
        'MMCV_WITH_OPS': '1',
        'MAX_JOBS': os.environ.get('MAX_JOBS') or str(jobs),
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',  # ninja lies beside python
        # Debug symbols would make 80 MB out of a library of 2 MB. CFLAGS would replace Python's own flags, -O3 too.
        'CPPFLAGS': os.environ.get('CPPFLAGS', '') + ' -g0',
    }
    if target.cuda_home:
        return env | {'FORCE_CUDA': '1', 'CUDA_HOME': str(target.cuda_home),
                      'TORCH_CUDA_ARCH_LIST': ';'.join(target.archs)}
    return env | {'FORCE_CUDA': '0', 'CUDA_VISIBLE_DEVICES': ''}  # mmcv compiles CUDA code whenever it sees a GPU


def compile_wheel(command: list[str], env: dict[str, str], log: Path, every: float = 60) -> None:
    """Run the compilation with its output in ``log``, and say every ``every`` seconds how far it is.

    Raises:
        SetupError: it failed; the last lines of the log are in the message.
    """
    started = time.monotonic()
    with log.open('w', encoding='utf-8') as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=every)
                except subprocess.TimeoutExpired:
                    say(f'  compiling mmcv: {(time.monotonic() - started) / 60:.0f} min{files_done(log)}')
        finally:
            if process.poll() is None:  # interrupted
                process.terminate()
                process.wait()
    if process.returncode != 0:
        tail = '\n'.join(log.read_text(encoding='utf-8', errors='replace').splitlines()[-20:])
        raise SetupError(f'compiling mmcv failed. The end of {log}:\n{tail}')


def files_done(log: Path) -> str:
    """', 12 of 77 files' from the last ``[12/77]`` in the log; nothing before the first."""
    counts = re.findall(r'^\s*\[(\d+)/(\d+)\]', log.read_text(encoding='utf-8', errors='replace'), re.MULTILINE)
    return f', {counts[-1][0]} of {counts[-1][1]} files' if counts else ''


def compile_and_install(target: Target) -> None:
    """Compile mmcv for the target, install and check it, and keep the wheel."""
    check_compiler()
    subprocess.run(pip('install', '--quiet', 'setuptools<81', 'wheel', 'ninja'), check=True)
    env = build_environment(target)
    device = f'the CPU and for GPUs of capability {", ".join(target.archs)}' if target.cuda_home else 'the CPU'
    log = Path(sys.prefix) / 'mmcv_build.log'
    say(f'mmcv {MMCV}: compiling its operators for torch {target.torch}, for {device}, {env["MAX_JOBS"]} files at a '
        f'time. This takes 10 to 40 minutes on two cores, and is needed once. Details: {log}')
    with tempfile.TemporaryDirectory(prefix='mmcv_', ignore_cleanup_errors=True) as folder:
        env['TMPDIR'] = folder  # so that an interrupted pip leaves nothing
        # Without --no-cache-dir pip may take a wheel that it compiled for another torch.
        compile_wheel(pip('wheel', '--verbose', '--no-build-isolation', '--no-deps', '--no-cache-dir',
                          '--no-binary=mmcv', '--wheel-dir', folder, f'mmcv=={MMCV}'), env, log)
        wheel = next(Path(folder).glob('mmcv-*.whl'))
        problem = problem_of_installed(target) if install(str(wheel)) else 'since pip cannot install it'
        if problem is not None:
            raise SetupError(f'mmcv was compiled, but does not work {problem}. The compilation is described in {log}')
        keep(wheel, target.cache)


def keep(wheel: Path, folder: Path) -> None:
    """Copy the wheel into the cache: beside its place first, so that no half-written wheel is ever found there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f'{wheel.name}.{os.getpid()}.part'
        shutil.copyfile(wheel, part)
        part.replace(folder / wheel.name)
    except OSError as error:
        say(f'The wheel could not be kept for the next time ({error}).')
        return
    say(f'mmcv {MMCV}: compiled; the wheel is kept in {folder}')


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    try:
        target = find_target()
        if problem_of_installed(target) is None:
            say(f'mmcv works on {" and ".join(target.devices)}.')
        elif not take_ready_wheel(target):
            compile_and_install(target)
    except (SetupError, subprocess.CalledProcessError) as error:
        print(f'error: {error}', file=sys.stderr)
        return getattr(error, 'code', 1)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
