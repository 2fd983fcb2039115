/* Tell a process on an Intel processor that the processor is an AMD EPYC (Zen 4).
 *
 * MKL, by which PyTorch multiplies, asks CPUID for the maker and chooses its code by it. With this
 * library before all others, a recipe of an AMD processor is trained again by the same code:
 *
 *     gcc -O1 -shared -fPIC -o /tmp/amd_cpuid.so tools/amd_cpuid.c
 *     LD_PRELOAD=/tmp/amd_cpuid.so snn-gym verify --retrain --agent ppo-lif
 *
 * Linux lets a process trap the instruction (arch_prctl(2), ARCH_CPUID); the handler runs it, changes
 * the maker, the model, the caches and what Zen 4 lacks, and goes on behind it. docs/processors.md
 * says what this reproduces and what it cannot.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define CPUID_LENGTH 2

enum { EAX, EBX, ECX, EDX };

static const char BRAND[48] = "AMD EPYC 9R14 96-Core Processor";

/* Trap the instruction, or let it run. */
static int trap(int on) { return (int)syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on); }

/* Data and instruction caches of 32 KiB, 1 MiB and 32 MiB: ways, lines of 64 bytes, sets. */
static void caches(uint32_t level, uint32_t r[4]) {
  static const uint32_t LEVELS[4][4] = {
      {0x121, 0x01c0003f, 0x3f, 0}, {0x122, 0x01c0003f, 0x3f, 0},
      {0x143, 0x01c0003f, 0x7ff, 2}, {0x1c163, 0x03c0003f, 0x7fff, 9}};
  if (level < 4) memcpy(r, LEVELS[level], 16);
  else memset(r, 0, 16);
}

/* Change what an Intel processor answered into the answer of a Zen 4. */
static void answer(uint32_t leaf, uint32_t sub, uint32_t r[4]) {
  if (leaf == 0 || leaf == 0x80000000) {
    r[EAX] = leaf ? 0x80000028 : 0x10;
    memcpy(&r[EBX], "Auth", 4), memcpy(&r[EDX], "enti", 4), memcpy(&r[ECX], "cAMD", 4);
  } else if (leaf == 1) {
    r[EAX] = 0x00a10f11;
  } else if (leaf == 7 && sub == 0) {
    r[EAX] = r[EAX] > 1 ? 1 : r[EAX];
    r[EBX] &= ~(1u << 4 | 1u << 11);                          /* transactions */
    r[EDX] &= ~(1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);   /* AMX, AVX-512 FP16 */
  } else if (leaf == 7 && sub == 1) {
    r[EAX] &= 1u << 5;                                        /* AVX-512 BF16 alone */
    r[EBX] = r[ECX] = r[EDX] = 0;
  } else if (leaf == 2 || leaf == 4 || leaf == 0x14 || (leaf >= 0x18 && leaf <= 0x1e)) {
    memset(r, 0, 16);
  } else if (leaf >= 0x80000002 && leaf <= 0x80000004) {
    memcpy(r, BRAND + 16 * (leaf - 0x80000002), 16);
  } else if (leaf == 0x80000005) {
    r[EAX] = r[EBX] = 0xff48ff40, r[ECX] = r[EDX] = 0x20080140;
  } else if (leaf == 0x80000006) {
    r[EAX] = 0x5c002200, r[EBX] = 0x6c004200, r[ECX] = 0x04006140, r[EDX] = 0x01009140;
  } else if (leaf == 0x8000001d) {
    caches(sub, r);
  }
}

static void handle(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)registers[REG_RIP];
  (void)number, (void)info;
  if (code[0] != 0x0f || code[1] != 0xa2) { /* a fault of another kind */
    signal(SIGSEGV, SIG_DFL);
    return;
  }
  uint32_t leaf = (uint32_t)registers[REG_RAX], sub = (uint32_t)registers[REG_RCX], r[4];
  trap(0);
  __cpuid_count(leaf, sub, r[EAX], r[EBX], r[ECX], r[EDX]);
  trap(1);
  answer(leaf, sub, r);
  registers[REG_RAX] = r[EAX], registers[REG_RBX] = r[EBX];
  registers[REG_RCX] = r[ECX], registers[REG_RDX] = r[EDX];
  registers[REG_RIP] += CPUID_LENGTH;
}

__attribute__((constructor)) static void start(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
  sigaction(SIGSEGV, &action, NULL);
  if (trap(1) != 0) fprintf(stderr, "amd_cpuid: this kernel or processor can't trap CPUID\n");
}
