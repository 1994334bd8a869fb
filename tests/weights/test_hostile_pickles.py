"""Files made to harm whoever converts them: nothing is executed, memory is bounded, and the end is one message."""

from __future__ import annotations

import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from saved_networks import authors_code, save_as_torch_03, write_header
from torch import nn

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import load_checkpoint, load_original, load_pickled_module

NUMBER_OF_MUTANTS = 110  # of each file, half cut short, half with changed bits
MODULE = b'cmodel\nTDAN_VSR\n)\x81'  # an instance, without state
STORAGE = b'(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu'


def legacy_file(path: Path, operations: bytes, keys: list[str] | None = None, numbers: bytes = b'') -> Path:
    """A file of torch up to 1.5 whose main pickle consists of these operations."""
    with path.open('wb') as file:
        write_header(file)
        file.write(b'\x80\x02' + operations + b'.')
        pickle.dump(keys or [], file, protocol=2)
        file.write(numbers)
    return path


def integer(value: int) -> bytes:
    content = pickle.dumps(value, protocol=2)[2:-1]
    assert pickle.loads(b'\x80\x02' + content + b'.') == value
    return content


def module(name: bytes, value: bytes) -> bytes:
    """A network that has one entry in ``_parameters`` (or another part), made by the operations ``value``."""
    part = b'X' + struct.pack('<I', len(name)) + name
    return MODULE + b'}(' + part + b'}X\x01\x00\x00\x00w' + value + b's' + b'ub'


def tensor(numel: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The operations that rebuild a tensor on the storage ``0``."""
    numbers = STORAGE + integer(numel) + b'NtQ'
    shape = b''.join(b'(' + b''.join(map(integer, values)) + b't' for values in (size, stride))
    return b'ctorch._utils\n_rebuild_tensor\n(' + numbers + integer(offset) + shape + b'tR'


def storage_bytes(numel: int) -> bytes:
    return struct.pack('<q', numel) + bytes(4 * numel)


def test_the_hand_made_files_are_right_but_for_what_is_wrong(tmp_path):
    path = legacy_file(tmp_path / 'net.pt', module(b'_parameters', tensor(6, 1, (2, 2), (2, 1))), ['0'],
                       struct.pack('<q6f', 6, *range(6)))
    assert load_pickled_module(path)['w'].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize('operations, asked', [
    (b'cos\nsystem\nX\x0e\x00\x00\x00touch executed\x85R', 'os.system'),
    (b'cposix\nsystem\nX\x0e\x00\x00\x00touch executed\x85R', 'posix.system'),
    (b'csubprocess\nPopen\nX\x0e\x00\x00\x00touch executed\x85R', 'subprocess.Popen'),
    (b'c__builtin__\neval\nX\x1c\x00\x00\x00open("executed","w").close()\x85R', '__builtin__.eval'),
    (b'cbuiltins\nexec\nX\x1c\x00\x00\x00open("executed","w").close()\x85R', 'builtins.exec'),
    (b'cbuiltins\ngetattr\ncmodel\nTDAN_VSR\nX\x08\x00\x00\x00__init__\x86R', 'builtins.getattr'),
    (b'ctorch\nload\nX\x08\x00\x00\x00evil.pth\x85R', 'torch.load'),
    (b'ctorch.nn\nfunctional.torch.load\nX\x08\x00\x00\x00evil.pth\x85R', 'torch.nn.functional.torch.load'),
    (b'ctorch.nn.modules.module\n__builtins__.eval\n)R', 'torch.nn.modules.module.__builtins__.eval'),
    (b'ctorch.hub\nload\n)R', 'torch.hub.load'),
    (b'ctorch.storage\n_load_from_bytes\nX\x01\x00\x00\x00a\x85R', 'torch.storage._load_from_bytes'),
    (b'ctorch.nnx\nModule\n)\x81', 'torch.nnx.Module'),
    (b'cmodels\nNet\n)\x81', 'models.Net'),
    (b'ccopyreg\n_reconstructor\n)R', 'copyreg._reconstructor'),
    (b'csatvsr_plugin.weights.inert\nInertUnpickler\n)R', 'satvsr_plugin.weights.inert.InertUnpickler'),
])
def test_globals_that_no_network_needs_are_named(tmp_path, monkeypatch, operations, asked):
    monkeypatch.chdir(tmp_path)
    in_zip = tmp_path / 'zip.pt'
    with zipfile.ZipFile(in_zip, 'w') as archive:
        archive.writestr('net/data.pkl', b'\x80\x02' + operations + b'.')
    for path in (legacy_file(tmp_path / 'legacy.pt', operations), in_zip):
        for load in (load_pickled_module, load_original):
            with pytest.raises(WeightsError, match=f'{path.name}: refused, since it asks for {asked}, which no'):
                load(path)
    assert not Path('executed').exists()


@pytest.mark.parametrize('operations, message', [
    (b'cmodel\nTDAN_VSR\nX\x02\x00\x00\x00ls\x85R', 'takes no arguments'),
    (b'cmodel\nTDAN_VSR\nX\x02\x00\x00\x00ls\x85\x81', 'takes no arguments'),
    (b'cmodel\nTDAN_VSR\n' + b'N}X\x08\x00\x00\x00__init__K\x01s\x86b', 'missing 1 required'),
    (b'ctorch._utils\n_rebuild_tensor\n' + b'N}X\x08\x00\x00\x00__init__K\x01s\x86b', 'missing 1 required'),
    (b'ctorch\nFloatStorage\n' + b'N}X\x01\x00\x00\x00xK\x01s\x86b', 'has no attribute'),
    (b'ctorch._utils\n_rebuild_tensor\n(NNNNNNNtR', 'positional arguments'),
    (b'ctorch\nFloatStorage\n)R', 'not callable'),
    (b'K\x01K\x02\x86Q', 'neither a class nor numbers'),
    (b')Q', 'neither a class nor numbers'),
    (b'NQ', 'neither a class nor numbers'),
    (STORAGE + integer(-1) + b'NtQ', 'in an impossible way'),
    (STORAGE + integer(2**70) + b'NtQ', 'in an impossible way'),
    (STORAGE + b'K\x04NtQ' + STORAGE + b'K\x05NtQ', 'in two ways'),
    (STORAGE + b'K\x04X\x01\x00\x00\x000K\x02K\x03\x87tQ', 'in two ways'),
    (b'Nr\xff\xff\xff\xff', 'claims to remember 4,294,967,295 things'),
    (b'\x82\x01', 'uses EXT1'),
    (b'\x96' + struct.pack('<Q', 2**40), 'uses BYTEARRAY8|damaged'),
    (b'\x80\x04\x8e' + struct.pack('<Q', 2**60), 'damaged'),
    (b'X\xff\xff\xff\xff', 'damaged'),
    (b'}' + b')' + b'\x85' * 100_000 + b'K\x01s', 'nests tuples more than 100 deep'),
    (b'})' + (b'\x85' * 90 + b'Nb(u' + b'(e') * 1000 + b'K\x01s', 'nests tuples more than 100 deep'),
    (b'})' + b'\x85q\x00h\x00' * 30_000 + b'K\x01s', 'nests tuples more than 100 deep'),
    (b'](' + b'N' * 300_000 + b'e', 'longer than 200,000 operations'),
    (b'](' + b'N' * 100_000 + b'e\x85q\x00' + b'c__builtin__\nset\nh\x00R' * 30_000, 'holds no network'),
    (b'](' + b'N' * 100_000 + b'e\x85q\x00' + b'ccollections\nOrderedDict\nh\x00R' * 30_000, 'holds no network'),
    (MODULE + b'q\x00}(X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00mh\x00s' + b'ub', 'contains itself'),
    (MODULE, 'its content is no network'),
    (module(b'_parameters', b'K\x01'), 'a weight is no tensor'),
    (module(b'_modules', b'K\x01'), 'w is no network'),
    (MODULE + b'}X\x08\x00\x00\x00_modulesK\x01sb', 'a layer has no _modules'),
    (b'0', 'uses POP'),
    (b'', 'damaged'),
    (b'(', 'damaged'),
    (b'h\x07', 'damaged'),
    (b'\x86', 'damaged'),
])
def test_tricks_end_in_one_message(tmp_path, operations, message):
    path = legacy_file(tmp_path / 'trick.pt', operations)
    with pytest.raises(WeightsError, match=message) as caught:
        load_pickled_module(path)
    assert str(caught.value).startswith(f'{path}: ')


def doubling(levels: int) -> bytes:
    """A network of so many layers, each of which holds the next one twice: 2**levels names in a small file."""
    operations = MODULE + b'}bq\x00'
    for level in range(1, levels):
        twins = b''.join(b'X\x01\x00\x00\x00' + name + b'h' + bytes([level - 1]) for name in (b'a', b'b'))
        operations += MODULE + b'}X\x08\x00\x00\x00_modules}(' + twins + b'us' + b'bq' + bytes([level])
    return operations


def test_layers_that_double_are_counted(tmp_path):
    assert len(legacy_file(tmp_path / 'doubling.pt', doubling(60)).read_bytes()) < 10_000
    with pytest.raises(WeightsError, match='more than 20,000 layers'):
        load_pickled_module(tmp_path / 'doubling.pt')


@pytest.mark.parametrize('numel, offset, size, stride', [
    (6, 0, (7,), (1,)), (6, 5, (2,), (1,)), (6, 0, (3, 3), (2, 1)), (6, 0, (2**40,), (0,)), (6, 0, (3, 3), (0, 0)),
    (6, 7, (1,), (1,)), (6, -1, (2,), (1,)), (6, 4, (2,), (-1,)), (6, 0, (2**62, 4), (1, 0)), (6, 0, (2,), ()),
    (6, 0, (1,) * 9, (1,) * 9), (6, 0, (2**80,), (1,)),
])
def test_tensors_stay_on_their_numbers(tmp_path, numel, offset, size, stride):
    path = legacy_file(tmp_path / 'beyond.pt', module(b'_parameters', tensor(numel, offset, size, stride)), ['0'],
                       storage_bytes(numel))
    with pytest.raises(WeightsError, match=r'beyond\.pt: damaged: a tensor (reaches beyond|has an impossible)'):
        load_pickled_module(path)


@pytest.mark.parametrize('keys, numbers, message', [
    ([], b'', 'list of storages'), (['0', '0'], storage_bytes(6) * 2, 'list of storages'),
    (['1'], storage_bytes(6), 'list of storages'), (['0'], storage_bytes(5), 'another length'),
    (['0'], storage_bytes(6)[:-1], 'cut short'), (['0'], b'', 'another length'), ([None], b'', 'damaged'),
])
def test_storages_are_those_of_the_tensors(tmp_path, keys, numbers, message):
    path = legacy_file(tmp_path / 'numbers.pt', module(b'_parameters', tensor(6, 0, (6,), (1,))), keys, numbers)
    with pytest.raises(WeightsError, match=f'numbers.pt: .*{message}'):
        load_pickled_module(path)


def test_a_huge_claim_costs_no_memory(tmp_path):
    numel = 2**40
    path = legacy_file(tmp_path / 'huge.pt', module(b'_parameters', tensor(numel, 0, (numel,), (1,))), ['0'],
                       struct.pack('<q', numel))
    assert peak_of(lambda: refused(load_pickled_module, path)) < 2**20


def test_an_archive_that_swells_is_refused(tmp_path):
    operations = b'\x80\x02' + module(b'_parameters', tensor(2**24, 0, (2**24,), (1,))) + b'.'
    with zipfile.ZipFile(tmp_path / 'swells.pt', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('net/data.pkl', operations, zipfile.ZIP_STORED)
        archive.writestr('net/data/0', bytes(2**26))
    assert (tmp_path / 'swells.pt').stat().st_size < 2**18
    assert peak_of(lambda: refused(load_pickled_module, tmp_path / 'swells.pt')) < 2**20


def test_another_order_of_bytes_is_refused(tmp_path):
    with (tmp_path / 'big.pt').open('wb') as file:
        write_header(file, little_endian=False)
    with pytest.raises(WeightsError, match='big.pt: written on a machine with another order'):
        load_pickled_module(tmp_path / 'big.pt')


def refused(load: Callable[[Path], dict], path: Path) -> None:
    with pytest.raises(WeightsError, match=path.name):
        load(path)


def peak_of(action: Callable[[], object]) -> int:
    """Bytes that Python had allocated at once during an action, beyond those before it."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def mutants(content: bytes, seed: int) -> list[bytes]:
    """Copies that are cut short at random, and copies of which one to eight bits differ, mostly in the pickle."""
    chance = random.Random(seed)
    made = [content[:chance.randrange(len(content))] for _ in range(NUMBER_OF_MUTANTS // 2)]
    while len(made) < NUMBER_OF_MUTANTS:
        changed = bytearray(content)
        for _ in range(chance.choice([1, 1, 2, 8])):
            changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        made.append(bytes(changed))
    return made


@pytest.fixture(scope='module')
def small_files(tmp_path_factory) -> dict[str, bytes]:
    """A small network of the authors' in all layouts."""
    folder = tmp_path_factory.mktemp('code')
    contents = {}
    with authors_code(folder) as network:
        net = network(channels=2, groups=1)
        del net.recon_layer, net.up, net.cr, net.off2d_1, net.dconv_1, net.off2d_2, net.deconv_2, net.off2d_3
        net.residual_layer = net.residual_layer[:1]
        save_as_torch_03(nn.DataParallel(net), folder / 'net.pt')
        contents['torch 0.3'] = (folder / 'net.pt').read_bytes()
        for layout, new in (('legacy', False), ('zip', True)):
            buffer = io.BytesIO()
            torch.save(net, buffer, _use_new_zipfile_serialization=new)
            contents[layout] = buffer.getvalue()
    return contents


@pytest.mark.parametrize('layout', ['torch 0.3', 'legacy', 'zip'])
@pytest.mark.parametrize('load', [load_pickled_module, load_checkpoint])
def test_damaged_files_end_in_one_message_or_a_state_dict(tmp_path, monkeypatch, small_files, layout, load):
    monkeypatch.chdir(tmp_path)
    path, content = tmp_path / 'mutant.pt', small_files[layout]
    num_refused = 0

    def run() -> None:
        nonlocal num_refused
        for mutant in mutants(content, seed=len(layout)):
            path.write_bytes(mutant)
            try:
                loaded = load(path)
            except WeightsError as error:
                num_refused += 1
                assert str(error).startswith(f'{path}: ')
            else:  # a bit of a number, or of an attribute that is not looked at
                assert sum(tensor.nbytes for tensor in loaded.values()) <= len(content)

    peak = peak_of(run)
    # the unpickler's memo; PyTorch's own loader reserves what the file claims
    assert load is load_checkpoint or peak < 2**23
    assert num_refused >= NUMBER_OF_MUTANTS // 2
    assert [entry.name for entry in tmp_path.iterdir()] == ['mutant.pt']
