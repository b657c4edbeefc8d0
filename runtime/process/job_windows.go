package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

func guarantee() string {
	return "killed with everything it started by Stop and when the gateway ends or is killed (a job object)"
}

// Init returns false. On Windows a job does what elsewhere a watcher does.
func Init() bool { return false }

// job is a command in a job that dies with its last handle, which is ours.
type job struct {
	p *os.Process

	mu     sync.Mutex
	handle windows.Handle // 0 once it is closed
}

// startTree starts the command suspended, so that it is in the job before it
// can start anything.
func startTree(_ context.Context, c command) (tree, error) {
	handle, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("creating a job: %w", err)
	}
	j := &job{handle: handle}
	if err := j.start(c); err != nil {
		_ = windows.CloseHandle(handle) // and with it the command
		if j.p != nil {
			_ = j.p.Kill()
			_, _ = j.p.Wait()
		}
		return nil, err
	}
	return j, nil
}

func (j *job) start(c command) error {
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(j.handle, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return fmt.Errorf("setting up the job: %w", err)
	}
	p, err := os.StartProcess(c.path, c.argv, &os.ProcAttr{
		Dir: c.dir, Env: c.env, Files: []*os.File{c.stdin, c.stdout, c.stderr},
		Sys: &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED | windows.CREATE_NEW_PROCESS_GROUP, HideWindow: true},
	})
	if err != nil {
		return err
	}
	j.p = p
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err != nil {
		return fmt.Errorf("opening the process: %w", err)
	}
	defer windows.CloseHandle(h)
	if err := windows.AssignProcessToJobObject(j.handle, h); err != nil {
		return fmt.Errorf("putting the process into its job: %w", err)
	}
	return resume(uint32(p.Pid))
}

// resume lets a suspended process run.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	e := windows.ThreadEntry32{}
	e.Size = uint32(unsafe.Sizeof(e))
	for err = windows.Thread32First(snapshot, &e); err == nil; err = windows.Thread32Next(snapshot, &e) {
		if e.OwnerProcessID != pid {
			continue
		}
		h, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, e.ThreadID)
		if err != nil {
			return fmt.Errorf("opening the thread: %w", err)
		}
		_, err = windows.ResumeThread(h)
		_ = windows.CloseHandle(h)
		return err
	}
	return errors.New("the started process has no thread")
}

// ask does nothing: there is no signal that a program without a console
// would get.
func (j *job) ask() {}

func (j *job) kill() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.handle != 0 {
		_ = windows.TerminateJobObject(j.handle, 1)
	}
}

func (j *job) wait() outcome {
	state, err := j.p.Wait()
	j.kill() // what it left behind
	j.mu.Lock()
	_ = windows.CloseHandle(j.handle)
	j.handle = 0
	j.mu.Unlock()
	if err != nil {
		return outcome{code: -1, err: err}
	}
	return outcome{code: state.ExitCode()}
}
