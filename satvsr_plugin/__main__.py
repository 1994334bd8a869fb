"""``python -m satvsr_plugin`` is the ``basicsr`` command, for launchers such as torchrun."""

from satvsr_plugin.cli import main

if __name__ == '__main__':
    main()
