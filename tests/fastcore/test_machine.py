"""The fingerprint says what the files say, and nothing where they say nothing."""

import json
import os
import platform

from evolve.fastcore.machine import fingerprint

ALWAYS = {"architecture", "kernel", "python", "numpy", "numba"}
FILES = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 9B45\nflags\t\t: fpu vme hypervisor sse\n",
    "proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n",
    "proc/sys/kernel/randomize_va_space": "0\n",
    "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,4\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "1500000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "3700000\n",
    "sys/devices/system/cpu/cpufreq/boost": "0\n",
    "sys/class/dmi/id/sys_vendor": "QEMU\n",
}


def tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_all_that_the_files_say(tmp_path):
    found = fingerprint(tree(tmp_path, FILES))
    expected = {
        "cpu": "AMD EPYC 9B45",
        "threads_per_core": 2,
        "governor": "performance",
        "least_mhz": 1500.0,
        "most_mhz": 3700.0,
        "boost": False,
        "hypervisor": "QEMU",
        "memory": 16384 * 1024,
        "layout": "fixed",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["python"] == platform.python_version()
    assert found["cores"] == os.cpu_count()


def test_where_the_system_says_nothing_there_is_no_key(tmp_path):
    found = fingerprint(tmp_path)
    assert found.keys() >= ALWAYS
    absent = {"threads_per_core", "governor", "least_mhz", "most_mhz", "boost", "hypervisor", "memory"}
    assert not found.keys() & (absent | {"layout"})
    assert None not in found.values()
    assert "" not in found.values()


def test_other_words_of_other_machines(tmp_path):
    arm = {
        "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
        "sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
        "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-3\n",
        "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
    }
    found = fingerprint(tree(tmp_path, arm))
    assert found["cpu"] == "implementer 0x41 part 0xd0c"
    assert found["boost"] is True
    assert found["threads_per_core"] == 4
    assert "hypervisor" not in found  # a maker of machines is none


def test_this_machine_as_plain_data():
    found = fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert found.keys() >= ALWAYS
