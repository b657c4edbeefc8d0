//go:build e2e && linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// differ names the fields in which two values of one type differ.
func differ(at string, driver, bare reflect.Value) error {
	for driver.Kind() == reflect.Pointer && !driver.IsNil() && !bare.IsNil() {
		driver, bare = driver.Elem(), bare.Elem()
	}
	var errs []error
	switch {
	case driver.Kind() == reflect.Struct:
		for i := range driver.NumField() {
			errs = append(errs, differ(at+"."+driver.Type().Field(i).Name, driver.Field(i), bare.Field(i)))
		}
		return errors.Join(errs...)
	case driver.Kind() == reflect.Slice && driver.Len() == bare.Len():
		for i := range driver.Len() {
			errs = append(errs, differ(fmt.Sprintf("%s[%d]", at, i), driver.Index(i), bare.Index(i)))
		}
		return errors.Join(errs...)
	}
	mine, err1 := json.Marshal(driver.Interface())
	theirs, err2 := json.Marshal(bare.Interface())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if string(mine) != string(theirs) {
		return fmt.Errorf("%s is %s in the driver's container and %s in the bare client's: they cannot be compared", at, mine, theirs)
	}
	return nil
}
