// die_at DIRECTORY N COMMAND...: runs the command and kills it, as kill -9 would, right before the Nth system
// call that changes what lies in DIRECTORY. N = 0 kills never. What was counted goes to the file descriptor
// 3, one line a call; the exit status is the command's, or 137.
//
// The calls are watched with ptrace, behind a seccomp filter that stops only the ones of interest: so it sees
// the writes of every library of the process, however it was linked.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// Where a call says what it changes: a descriptor, or a path, in the argument of that index.
enum subject { DESCRIPTOR, PATH, CREATED };

static const struct call {
  int number;
  const char* name;
  enum subject subject;
  int argument;
  int flags;  // of CREATED: the argument that holds O_CREAT
} calls[] = {
    {SYS_write, "write", DESCRIPTOR, 0, 0},
    {SYS_pwrite64, "pwrite", DESCRIPTOR, 0, 0},
    {SYS_writev, "writev", DESCRIPTOR, 0, 0},
    {SYS_pwritev, "pwritev", DESCRIPTOR, 0, 0},
    {SYS_fsync, "fsync", DESCRIPTOR, 0, 0},
    {SYS_fdatasync, "fdatasync", DESCRIPTOR, 0, 0},
    {SYS_ftruncate, "ftruncate", DESCRIPTOR, 0, 0},
    {SYS_fallocate, "fallocate", DESCRIPTOR, 0, 0},
    {SYS_openat, "create", CREATED, 1, 2},
    {SYS_unlinkat, "unlink", PATH, 1, 0},
    {SYS_renameat2, "rename", PATH, 3, 0},
    {SYS_mkdirat, "mkdir", PATH, 1, 0},
    {SYS_linkat, "link", PATH, 3, 0},
#ifdef SYS_renameat
    {SYS_renameat, "rename", PATH, 3, 0},
#endif
#ifdef SYS_open  // the calls without a directory, which newer architectures lack
    {SYS_open, "create", CREATED, 0, 1},
    {SYS_unlink, "unlink", PATH, 0, 0},
    {SYS_rename, "rename", PATH, 1, 0},
    {SYS_mkdir, "mkdir", PATH, 0, 0},
    {SYS_link, "link", PATH, 1, 0},
    {SYS_rmdir, "rmdir", PATH, 0, 0},
#endif
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static void fail(const char* what) {
  perror(what);
  exit(125);
}

static void run(char** command) {
  struct sock_filter filter[CALLS + 3];
  int length = 0;
  filter[length++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < CALLS; i++)
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, CALLS - i, 0);
  filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
  struct sock_fprog program = {.len = length, .filter = filter};
  close(3);
  if (ptrace(PTRACE_TRACEME, 0, 0, 0)) fail("ptrace");
  raise(SIGSTOP);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("prctl");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("seccomp");
  execvp(command[0], command);
  fail(command[0]);
}

static void path_of_descriptor(pid_t thread, int descriptor, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, descriptor);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = '\0';
}

static void path_in_memory(pid_t thread, unsigned long address, char* path) {
  // Page by page: the one behind the string may not be there.
  size_t length = 0;
  while (length < PATH_MAX - 1) {
    size_t part = 4096 - (address + length) % 4096;
    if (part > PATH_MAX - 1 - length) part = PATH_MAX - 1 - length;
    struct iovec here = {path + length, part};
    struct iovec there = {(void*)(address + length), part};
    if (process_vm_readv(thread, &here, 1, &there, 1, 0) != (ssize_t)part) break;
    if (memchr(path + length, '\0', part)) return;
    length += part;
  }
  path[length] = '\0';
}

// The call if it is one that counts, with the path that it changes.
static const struct call* counted(pid_t thread, const char* directory, char* path) {
  struct __ptrace_syscall_info info;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) < 0) return NULL;
  for (int i = 0; i < CALLS; i++) {
    const struct call* call = &calls[i];
    if ((int)info.seccomp.nr != call->number) continue;
    const __typeof__(*info.seccomp.args)* arguments = info.seccomp.args;
    if (call->subject == CREATED && !(arguments[call->flags] & O_CREAT)) return NULL;
    if (call->subject == DESCRIPTOR)
      path_of_descriptor(thread, (int)arguments[call->argument], path);
    else
      path_in_memory(thread, arguments[call->argument], path);
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/' ? call : NULL;
  }
  return NULL;
}

int main(int count, char** arguments) {
  if (count < 4) {
    fprintf(stderr, "usage: die_at DIRECTORY N COMMAND...\n");
    return 125;
  }
  const char* directory = arguments[1];
  const long last = strtol(arguments[2], NULL, 10);
  FILE* log = fdopen(3, "w");
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) run(arguments + 3);

  int status;
  if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status)) fail("ptrace is not allowed here");
  const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                       PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, child, 0, options)) fail("ptrace");
  ptrace(PTRACE_CONT, child, 0, 0);

  char path[PATH_MAX];
  for (long step = 0;;) {
    const pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) fail("waitpid");
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread != child) continue;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    const int event = status >> 16;
    if (event == PTRACE_EVENT_SECCOMP) {
      const struct call* call = counted(thread, directory, path);
      if (call) {
        step++;
        if (log) fprintf(log, "%s %s\n", call->name, path + strlen(directory) + 1);
        if (log) fflush(log);
        if (step == last) {
          kill(child, SIGKILL);
          while (waitpid(-1, &status, __WALL) != child || WIFSTOPPED(status)) {
          }
          return 137;
        }
      }
    }
    // A new thread stops once with SIGSTOP, which is ours; all other signals are the command's.
    int signal = event ? 0 : WSTOPSIG(status);
    if (signal == SIGSTOP || signal == SIGTRAP) signal = 0;
    ptrace(PTRACE_CONT, thread, 0, signal);
  }
}
