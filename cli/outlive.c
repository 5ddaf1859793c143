// Keeping the read end of a pipe alive a little longer than the process.
//
// A process that gets SIGKILL closes its descriptors first and can be waited for only after that;
// on a busy machine milliseconds later. A parent that writes in between gets EPIPE from a child
// that waitpid still calls running, and may take it for one that hangs. An io_uring keeps its
// registered files until the kernel takes the ring apart, which it does on a thread of its own some
// milliseconds after the process has ended. Until then such a write succeeds, and what the parent
// sees first is the end of the child's output.
#include "cli/cli_lines.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

int cli_lines_outlive(int fd) {
    struct io_uring_params parameters = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
    if (ring >= 0 && syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1) != 0) {
        close(ring);
        ring = -1;
    }
    return ring;
}
